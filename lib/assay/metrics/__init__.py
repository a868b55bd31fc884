"""Metrics: computed once, on the host, from all predictions of a split."""
