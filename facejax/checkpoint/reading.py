"""The items of one checkpoint."""

import contextlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from facejax import files, trees
from facejax.array_typing import PyTree
from facejax.checkpoint import disk
from facejax.checkpoint.packed_handler import PackedRestore
from facejax.checkpoint.structure import check_same_structure
from facejax.errors import CheckpointError
from facejax.files import Path


def read_state(
  path: Path, abstract_state: PyTree, *, padded: str | None
) -> tuple[PyTree, dict[str, Any]] | None:
  """The state and the data position of a step, or None if it is damaged.

  All processes of a job get the same answer, though each reads its part of the
  arrays only, and the damage may lie in that of one.

  Args:
    path: of the step.
    abstract_state: see `CheckpointStore.restore_latest`.
    padded: see there.

  Raises:
    CheckpointError: its arrays are not those that are expected.
  """
  found, reason = None, 'another process cannot read its part'
  try:
    found = _read_items(path, abstract_state, padded)
  except CheckpointError:
    raise
  except Exception as error:  # Orbax raises just that for damaged data
    reason = disk.first_line(error)
  if multihost_utils.process_allgather(np.array(found is not None)).all():
    return found
  if jax.process_index() == 0:
    files.note(
      f'warning: checkpoint {path} cannot be read, trying the one before '
      f'({reason})'
    )
  return None


def _read_items(
  path: Path, abstract_state: PyTree, padded: str | None
) -> tuple[PyTree, dict[str, Any]]:
  """State and data position, without waiting for other processes.

  The manager's `restore` ends in a barrier that has the same name for every
  step: a process that read one, and a process that went on to the step before
  it, would both pass.
  """
  state, data = ocp.StandardCheckpointHandler(), ocp.JsonCheckpointHandler()
  with contextlib.closing(state), contextlib.closing(data):
    stored = state.metadata(path / 'state').tree
    check_same_structure(
      stored, abstract_state, f'checkpoint {path}', padded=padded
    )
    restore = ocp.args.StandardRestore(abstract_state, strict=padded is None)
    return (
      state.restore(path / 'state', args=restore),
      data.restore(path / 'data', args=ocp.args.JsonRestore()),
    )


def read_packed(
  manager: ocp.CheckpointManager,
  path: Path,
  step: int,
  *,
  shardings: trees.Rules,
) -> PyTree:
  """The packed model of a step.

  Args:
    manager: of the folder.
    path: of the step.
    step: its number.
    shardings: see `PackedRestore`.

  Raises:
    CheckpointError: the step has none, or it cannot be read.
  """
  if not (path / 'packed').exists():
    raise CheckpointError(f'{path} holds no packed model')
  args = ocp.args.Composite(packed=PackedRestore(shardings))
  try:
    return manager.restore(step, args=args).packed
  except CheckpointError:
    raise
  except Exception as error:  # Orbax raises just that for damaged data
    raise CheckpointError(
      f'{path / "packed"} cannot be read ({disk.first_line(error)})'
    ) from error
