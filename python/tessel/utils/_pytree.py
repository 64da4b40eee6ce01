"""Nested containers as a list of leaves and the shape they came in: tree_flatten, tree_unflatten, tree_map."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _names

if not TYPE_CHECKING:
    __getattr__ = _names.absent(__name__)

PyTree = Any
Context = Any


class _Kind(NamedTuple):
    """How containers of one type come apart and together again; `keys` names the parts."""

    flatten: Callable[[Any], tuple[Iterable[Any], Context]]
    unflatten: Callable[[Iterable[Any], Context], Any]
    keys: Callable[[Any], list[Any]]


@dataclass(frozen=True)
class SequenceKey:
    """The part of a sequence at an index."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclass(frozen=True)
class MappingKey:
    """The part of a mapping under a key."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True)
class GetAttrKey:
    """The part of an object under an attribute's name."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


KeyEntry = Any
KeyPath = tuple[Any, ...]


def _sequence_keys(x: Any) -> list[Any]:
    return [SequenceKey(i) for i in range(len(x))]


def _mapping_keys(x: Any) -> list[Any]:
    return [MappingKey(key) for key in x]


SUPPORTED_NODES: dict[Any, _Kind] = {
    list: _Kind(lambda x: (x, None), lambda values, _: list(values), _sequence_keys),
    tuple: _Kind(lambda x: (x, None), lambda values, _: tuple(values), _sequence_keys),
    namedtuple: _Kind(
        lambda x: (list(x), type(x)),
        lambda values, kind: kind(*values),
        lambda x: [GetAttrKey(name) for name in x._fields],
    ),
    dict: _Kind(lambda x: (list(x.values()), list(x)), lambda v, keys: dict(zip(keys, v, strict=True)), _mapping_keys),
    OrderedDict: _Kind(
        lambda x: (list(x.values()), list(x)), lambda v, keys: OrderedDict(zip(keys, v, strict=True)), _mapping_keys
    ),
    defaultdict: _Kind(
        lambda x: (list(x.values()), [x.default_factory, list(x)]),
        lambda v, context: defaultdict(context[0], zip(context[1], v, strict=True)),
        _mapping_keys,
    ),
    deque: _Kind(lambda x: (list(x), x.maxlen), lambda values, most: deque(values, maxlen=most), _sequence_keys),
}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Iterable[Any], Context]],
    unflatten_fn: Callable[[Iterable[Any], Context], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Context]] | None = None,
) -> None:
    """Makes `cls` a container: `flatten_fn` gives its parts and a context, `unflatten_fn` builds it from these."""
    if cls in SUPPORTED_NODES:
        raise ValueError(f"register_pytree_node: {cls} is already registered as pytree node")

    def keys(x: Any) -> list[Any]:
        if flatten_with_keys_fn is not None:
            return [key for key, _ in flatten_with_keys_fn(x)[0]]
        return _sequence_keys(list(flatten_fn(x)[0]))

    SUPPORTED_NODES[cls] = _Kind(flatten_fn, unflatten_fn, keys)


_register_pytree_node = register_pytree_node


def _kind_of(tree: Any) -> Any:
    cls = type(tree)
    if cls not in SUPPORTED_NODES and isinstance(tree, tuple) and hasattr(cls, "_fields"):
        return namedtuple
    return cls


class TreeSpec:
    """The shape of a tree: the container's type and context, and the shapes of its parts."""

    def __init__(self, type: Any, context: Context, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_nodes: int = 1 + sum(child.num_nodes for child in children_specs)
        self.num_leaves: int = sum(child.num_leaves for child in children_specs) if type is not None else 1
        self.num_children = len(children_specs)

    def is_leaf(self) -> bool:
        """Whether this stands for a leaf."""
        return self.type is None

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this shape with these leaves."""
        return tree_unflatten(leaves, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.type, self.context, self.children_specs) == (
            other.type,
            other.context,
            other.children_specs,
        )

    def __hash__(self) -> int:
        return hash((self.type, repr(self.context), tuple(self.children_specs)))

    def __repr__(self) -> str:
        if self.is_leaf():
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


class LeafSpec(TreeSpec):
    """The shape of a leaf."""

    def __init__(self) -> None:
        super().__init__(None, None, [])


def treespec_leaf() -> TreeSpec:
    """The shape of a leaf."""
    return LeafSpec()


IsLeaf = Callable[[Any], bool]


def _walk(tree: Any, is_leaf: IsLeaf | None, path: KeyPath, put: Callable[[KeyPath, Any], None]) -> TreeSpec:
    cls = _kind_of(tree)
    if cls not in SUPPORTED_NODES or (is_leaf is not None and is_leaf(tree)):
        put(path, tree)
        return LeafSpec()
    kind = SUPPORTED_NODES[cls]
    parts, context = kind.flatten(tree)
    keys = kind.keys(tree)
    return TreeSpec(
        cls, context, [_walk(part, is_leaf, (*path, key), put) for key, part in zip(keys, parts, strict=True)]
    )


def tree_flatten(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the shape they came in. None is a leaf."""
    leaves: list[Any] = []
    spec = _walk(tree, is_leaf, (), lambda _, leaf: leaves.append(leaf))
    return leaves, spec


def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """The leaves with the keys that lead to them, and the shape they came in."""
    leaves: list[tuple[KeyPath, Any]] = []
    spec = _walk(tree, is_leaf, (), lambda path, leaf: leaves.append((path, leaf)))
    return leaves, spec


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of this shape with these leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten: expected a TreeSpec, got {type(treespec).__name__}")
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten: got {len(leaves)} leaves, but the TreeSpec refers to one of {treespec.num_leaves} leaves"
        )
    rest = iter(leaves)

    def build(spec: TreeSpec) -> Any:
        if spec.is_leaf():
            return next(rest)
        return SUPPORTED_NODES[spec.type].unflatten([build(child) for child in spec.children_specs], spec.context)

    return build(treespec)


def tree_leaves(tree: Any, is_leaf: IsLeaf | None = None) -> list[Any]:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf | None = None) -> Iterable[Any]:
    """The leaves in order."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: IsLeaf | None = None) -> TreeSpec:
    """The tree's shape."""
    return tree_flatten(tree, is_leaf)[1]


def _matching(tree: Any, spec: TreeSpec) -> list[Any]:
    """The parts of another tree that stand where `spec` has its leaves."""
    if spec.is_leaf():
        return [tree]
    if _kind_of(tree) is not spec.type:
        raise ValueError(f"tree_map: the trees differ: expected {spec.type.__name__}, got {type(tree).__name__}")
    parts, context = SUPPORTED_NODES[spec.type].flatten(tree)
    parts = list(parts)
    if len(parts) != spec.num_children:
        raise ValueError(f"tree_map: the trees differ: expected {spec.num_children} parts, got {len(parts)}")
    if isinstance(tree, dict):  # by key: two dicts may keep them in different orders
        keys = spec.context[1] if isinstance(tree, defaultdict) else spec.context
        if set(keys) != set(tree):
            raise ValueError(f"tree_map: the trees differ: expected the keys {list(keys)}, got {list(tree)}")
        parts = [tree[key] for key in keys]
    return [leaf for part, child in zip(parts, spec.children_specs, strict=True) for leaf in _matching(part, child)]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """The tree with func(leaf) for every leaf; with more trees of the shape, func(leaf, its counterpart, ...)."""
    leaves, spec = tree_flatten(tree, is_leaf)
    return tree_unflatten(list(map(func, leaves, *(_matching(rest, spec) for rest in rests))), spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """Calls func for every leaf and gives the tree itself."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for values in zip(leaves, *(_matching(rest, spec) for rest in rests), strict=True):
        func(*values)
    return tree


def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf | None = None) -> Any:
    """As tree_map, with func(path, leaf, ...)."""
    leaves, spec = tree_flatten_with_path(tree, is_leaf)
    others = [_matching(rest, spec) for rest in rests]
    return tree_unflatten([func(path, leaf, *more) for (path, leaf), *more in zip(leaves, *others, strict=True)], spec)


def _only(kinds: Any) -> Callable[[Any], bool]:
    if isinstance(kinds, (type, tuple)) or hasattr(kinds, "__args__"):
        return lambda x: isinstance(x, kinds)
    return kinds  # type: ignore[no-any-return] # a predicate


def tree_map_only(kinds: Any, func: Callable[[Any], Any], tree: Any, is_leaf: IsLeaf | None = None) -> Any:
    """As tree_map for the leaves of the given types; the others stay."""
    chosen = _only(kinds)
    return tree_map(lambda x: func(x) if chosen(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(kinds: Any, func: Callable[[Any], Any], tree: Any, is_leaf: IsLeaf | None = None) -> Any:
    """Calls func for the leaves of the given types and gives the tree itself."""
    chosen = _only(kinds)
    return tree_map_(lambda x: func(x) if chosen(x) else None, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf | None = None) -> bool:
    """Whether pred holds for every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf | None = None) -> bool:
    """Whether pred holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def keystr(kp: KeyPath) -> str:
    """A path as it would be written: ['a'][0].b"""
    return "".join(map(str, kp))
