"""Keeps doctest collection away from the scripts, which need the `bench` extra."""

collect_ignore_glob = ["*.py"]
