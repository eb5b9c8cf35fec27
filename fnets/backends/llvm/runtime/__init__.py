"""From text to calls: llvmlite, CPython's calling convention, threads, and what is kept on disk."""
