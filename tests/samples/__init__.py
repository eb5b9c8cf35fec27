"""Samples of primitives, a file per family."""
