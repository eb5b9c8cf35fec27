"""Text and files of arrays: NumPy's own functions under their names, for arrays whose values are known. May import nothing of fnets."""

import numpy as np

__all__ = [
    "array2string", "array_repr", "array_str", "fromfile", "get_printoptions", "load", "printoptions", "save",
    "savez", "set_printoptions",
]  # fmt: skip

array_repr, array_str, array2string = np.array_repr, np.array_str, np.array2string
printoptions, set_printoptions, get_printoptions = np.printoptions, np.set_printoptions, np.get_printoptions
save, savez, load, fromfile = np.save, np.savez, np.load, np.fromfile
