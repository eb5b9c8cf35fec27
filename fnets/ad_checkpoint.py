"""`checkpoint` and what belongs to it, under JAX's module name. May import control."""

from fnets.control import policies as checkpoint_policies
from fnets.control.checkpoint import checkpoint, checkpoint_name, print_saved_residuals, remat, saved_residuals

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies", "print_saved_residuals", "remat", "saved_residuals"]
