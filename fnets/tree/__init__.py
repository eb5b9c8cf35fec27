"""Pytrees: nested containers as a list of leaves and a structure, with the names and behaviour of `jax.tree` and
`jax.tree_util`. Lives here: names only; the parts are `keys` (paths), `registry` (node types), `spec` (the engine:
`flatten_spec`, `unflatten_spec`), `differences` (messages), `treedef` and `api`. May import `fnets.errors` alone.

>>> from fnets import tree
>>> tree.map(lambda x: 2 * x, {"w": [1.0, 2.0], "b": None})
{'b': None, 'w': [2.0, 4.0]}
"""

from fnets.tree.api import (
    all,
    all_leaves,
    broadcast,
    broadcast_flattened_prefix_with_treedef,
    broadcast_prefix,
    default_registry,
    flatten,
    flatten_axes,
    flatten_one_level,
    flatten_one_level_with_keys,
    flatten_with_path,
    leaves,
    leaves_with_path,
    map,
    map_with_path,
    reduce,
    reduce_associative,
    structure,
    transpose,
    unflatten,
)
from fnets.tree.differences import equality_errors, prefix_errors
from fnets.tree.keys import DictKey, FlattenedIndexKey, GetAttrKey, KeyEntry, KeyPath, SequenceKey, keystr
from fnets.tree.registry import (
    LEAF_TYPES,
    Partial,
    is_tree_node,
    register_dataclass,
    register_node,
    register_node_class,
    register_static,
    register_with_keys,
    register_with_keys_class,
    static,
)
from fnets.tree.registry import register_node as register_pytree_node
from fnets.tree.registry import register_node_class as register_pytree_node_class
from fnets.tree.registry import register_with_keys as register_pytree_with_keys
from fnets.tree.registry import register_with_keys_class as register_pytree_with_keys_class
from fnets.tree.spec import LEAF, NONE, ByEquality, flatten_spec, num_leaves, unflatten_spec
from fnets.tree.treedef import (
    PyTreeDef,
    build_tree,
    equality_errors_pytreedef,
    treedef_children,
    treedef_is_leaf,
    treedef_is_strict_leaf,
    treedef_tuple,
)

__all__ = [
    "ByEquality",
    "LEAF",
    "LEAF_TYPES",
    "NONE",
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all",
    "all_leaves",
    "broadcast",
    "broadcast_flattened_prefix_with_treedef",
    "broadcast_prefix",
    "build_tree",
    "default_registry",
    "equality_errors",
    "equality_errors_pytreedef",
    "flatten",
    "flatten_axes",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "flatten_spec",
    "flatten_with_path",
    "is_tree_node",
    "keystr",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "num_leaves",
    "prefix_errors",
    "reduce",
    "reduce_associative",
    "register_dataclass",
    "register_node",
    "register_node_class",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "register_with_keys",
    "register_with_keys_class",
    "static",
    "structure",
    "transpose",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_is_strict_leaf",
    "treedef_tuple",
    "unflatten",
    "unflatten_spec",
]
