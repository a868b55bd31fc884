"""Methods: one idea a file, each a function that keeps the type it wraps."""
