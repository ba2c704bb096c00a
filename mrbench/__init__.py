"""MRBench: which grain of a query is an embedding model blind to?"""
