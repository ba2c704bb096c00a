"""Low-rank adapters on the towers of a dual encoder."""
