"""Looking at values while transformed code runs: `debug.print`, `debug.callback`. May import control."""

from fnets.control.callbacks import debug_callback as callback
from fnets.control.callbacks import debug_print as print

__all__ = ["callback", "print"]
