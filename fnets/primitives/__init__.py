"""Primitive operations: a family per file, with implementation, types and all rules. Importing a file registers its primitives."""
