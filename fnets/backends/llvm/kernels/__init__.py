"""Stages: one file for each kind of kernel, from `stage`, which says what the driver must know of them."""
