"""Rows and verdicts as tables, figures, pages and comparisons."""
