"""Linear heads on frozen encoders: trained on cached embeddings, in minutes on a CPU."""
