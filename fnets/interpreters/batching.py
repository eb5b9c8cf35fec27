"""Types that vmap handles by rules of the user's, under JAX's module name. May import transforms.

>>> from fnets.interpreters import batching
>>> batching.is_vmappable(1.0)
False
"""

from fnets.transforms.vmappable import is_vmappable, register_vmappable, unregister_vmappable

__all__ = ["is_vmappable", "register_vmappable", "unregister_vmappable"]
