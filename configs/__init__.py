"""Hyper-parameters and published numbers, one file a paper."""
