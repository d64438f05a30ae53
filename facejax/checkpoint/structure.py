"""Whether a checkpoint holds the arrays that are expected."""

import re
from typing import Any

from facejax import trees
from facejax.array_typing import PyTree
from facejax.errors import CheckpointError


def _describe(leaf: Any) -> str:
  """Dtype and shape, 'float32[64, 128]'."""
  return f'{leaf.dtype}{list(leaf.shape)}'


def check_same_structure(
  stored: PyTree, expected: PyTree, where: str, *, padded: str | None = None
) -> None:
  """Refuses a checkpoint whose arrays are not those that are expected.

  Args:
    stored: Orbax metadata of the stored arrays, or shapes.
    expected: arrays or shapes of the same names.
    where: the checkpoint, for the error.
    padded: a regex; arrays with matching names may differ in the length of
      their first axis, which a mesh pads.

  Raises:
    CheckpointError: names the first array that differs and both shapes.
  """
  stored, expected = trees.named_leaves(stored), trees.named_leaves(expected)
  hint = 'it is of another architecture or optimiser'
  for name, leaf in expected.items():
    if name not in stored:
      raise CheckpointError(f'{where} has no {name!r}: {hint}')
    first = 1 if padded and re.fullmatch(padded, name) else 0
    same = (
      leaf.dtype == stored[name].dtype
      and len(leaf.shape) == len(stored[name].shape)
      and tuple(leaf.shape[first:]) == tuple(stored[name].shape[first:])
    )
    if not same:
      raise CheckpointError(
        f'{where} has {name!r} as {_describe(stored[name])}, expected '
        f'{_describe(leaf)}: {hint}'
      )
  for name in stored:
    if name not in expected:
      raise CheckpointError(
        f'{where} has {name!r} ({_describe(stored[name])}), which is not '
        f'expected: {hint}'
      )
