"""Benchmarks: ratios against the peers, measured in one run. `python -m benchmarks` prints the table; see `timing.py` for the method."""
