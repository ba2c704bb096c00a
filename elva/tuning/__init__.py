"""Training on a benchmark with a validation split: data, objectives and the loop, whatever it is that trains."""
