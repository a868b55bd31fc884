"""Data: where it comes from, how it is split, how a batch is drawn."""
