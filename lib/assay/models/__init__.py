"""Models: Flax Linen modules, sizes as fields, one family a file."""
