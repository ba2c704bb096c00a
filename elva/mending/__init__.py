"""From a model and a benchmark to a folder with what was trained: checks, the report before and after, the card."""
