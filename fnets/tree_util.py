"""`jax.tree_util`'s names for `fnets.tree`. Lives here: names only. May import `fnets.tree` alone."""

from fnets.tree import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyEntry,
    KeyPath,
    Partial,
    PyTreeDef,
    SequenceKey,
    all_leaves,
    broadcast_flattened_prefix_with_treedef,
    broadcast_prefix,
    build_tree,
    default_registry,
    equality_errors,
    equality_errors_pytreedef,
    flatten_one_level,
    flatten_one_level_with_keys,
    is_tree_node,
    keystr,
    prefix_errors,
    register_dataclass,
    register_static,
    treedef_children,
    treedef_is_leaf,
    treedef_is_strict_leaf,
    treedef_tuple,
)
from fnets.tree import all as tree_all
from fnets.tree import broadcast as tree_broadcast
from fnets.tree import flatten as tree_flatten
from fnets.tree import flatten_with_path as tree_flatten_with_path
from fnets.tree import leaves as tree_leaves
from fnets.tree import leaves_with_path as tree_leaves_with_path
from fnets.tree import map as tree_map
from fnets.tree import map_with_path as tree_map_with_path
from fnets.tree import reduce as tree_reduce
from fnets.tree import reduce_associative as tree_reduce_associative
from fnets.tree import register_node as register_pytree_node
from fnets.tree import register_node_class as register_pytree_node_class
from fnets.tree import register_with_keys as register_pytree_with_keys
from fnets.tree import register_with_keys_class as register_pytree_with_keys_class
from fnets.tree import structure as tree_structure
from fnets.tree import transpose as tree_transpose
from fnets.tree import unflatten as tree_unflatten

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "broadcast_flattened_prefix_with_treedef",
    "broadcast_prefix",
    "build_tree",
    "default_registry",
    "equality_errors",
    "equality_errors_pytreedef",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "prefix_errors",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_is_strict_leaf",
    "treedef_tuple",
]
