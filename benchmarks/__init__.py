"""Speed and memory, measured by command; never a test."""
