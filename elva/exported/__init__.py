"""ELVA checkpoints as folders that load without this project."""
