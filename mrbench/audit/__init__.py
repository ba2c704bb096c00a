"""The audit of a benchmark: can it be solved blind, and can what should see be told apart?"""
