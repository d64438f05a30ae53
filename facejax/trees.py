"""Maps over parameter trees whose leaves are named by their path.

A name is the path joined by '/', for example 'backbone/stem/conv/kernel'.
Sharding, weight decay, freezing and compression are all one idiom: a list of
(regex, value) over names in which the first regex that matches the whole name
wins.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax

from facejax.array_typing import PyTree
from facejax.errors import UsageError

V = TypeVar('V')
Rules = Sequence[tuple[str, V]]


def path_name(path: Sequence[Any]) -> str:
  """The name of a JAX key path."""
  return jax.tree_util.keystr(path, simple=True, separator='/')


def named_leaves(tree: PyTree, is_leaf: Any = None) -> dict[str, Any]:
  """Leaves by name, in tree order."""
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)
  return {path_name(path): leaf for path, leaf in leaves}


def map_named(
  function: Callable[..., Any],
  tree: PyTree,
  *rest: PyTree,
  is_leaf: Any = None,
) -> PyTree:
  """Like `jax.tree.map`, with the leaf's name as the first argument."""
  return jax.tree_util.tree_map_with_path(
    lambda path, *leaves: function(path_name(path), *leaves),
    tree,
    *rest,
    is_leaf=is_leaf,
  )


def first_match(rules: Rules, name: str, default: Any = None) -> Any:
  """The value of the first rule whose regex matches the whole name."""
  for pattern, value in rules:
    if re.fullmatch(pattern, name):
      return value
  return default


def match_tree(rules: Rules, tree: PyTree, default: Any = None) -> PyTree:
  """A tree of the same structure that holds each leaf's first match."""
  return map_named(lambda name, _: first_match(rules, name, default), tree)


def check_rules(rules: Rules, tree: PyTree, what: str) -> None:
  """Refuses a rule that is not a regex or matches no leaf at all.

  A rule that selects nothing is nearly always a typing error, and silent.

  Raises:
    UsageError: names the rule, and some of the names it could match.
  """
  names = list(named_leaves(tree))
  for pattern, _ in rules:
    try:
      matched = any(re.fullmatch(pattern, name) for name in names)
    except re.error as error:
      raise UsageError(
        f'{what}: {pattern!r} is not a regular expression: {error}'
      ) from None
    if not matched:
      raise UsageError(
        f'{what}: {pattern!r} matches no parameter; names look like '
        + ', '.join(repr(name) for name in names[:3])
      )


def parameter_count(tree: PyTree) -> int:
  """Number of elements of all leaves (arrays or shapes)."""
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def byte_count(tree: PyTree) -> int:
  """Bytes of all leaves (arrays or shapes)."""
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
