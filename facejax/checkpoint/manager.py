"""Checkpoints of a training run: save, prune, restore the latest good one."""

import sys
from typing import Any

import jax
import orbax.checkpoint as ocp

from facejax import trees
from facejax.array_typing import PyTree
from facejax.checkpoint import disk
from facejax.checkpoint.packed_handler import PackedRestore, PackedSave
from facejax.checkpoint.structure import check_same_structure
from facejax.compression import ternary
from facejax.errors import CheckpointError
from facejax.files import Path, PathLike


class CheckpointStore:
  """The checkpoints of one run, in one folder.

  A step is one composite, complete or not there: 'state' (any tree of
  arrays), 'data' (JSON, where the pipeline stands) and, if the run trains
  ternary weights, 'packed' (the model in 2 bits a weight). With several
  processes every one calls every method, and the folder must be on storage
  that all of them share.

  Attributes:
    directory: the folder.
  """

  def __init__(self, directory: PathLike, *, max_to_keep: int | None = 3):
    """Opens or creates the folder and removes unfinished saves from it.

    Args:
      directory: local path or gs://.
      max_to_keep: newest steps that are kept; None keeps all.

    Raises:
      CheckpointError: it is a file, or the folder cannot be created.
    """
    self.directory = Path(directory).absolute()
    self._unusable: list[int] = []
    if self.directory.exists() and not self.directory.is_dir():
      raise CheckpointError(
        f'{self.directory} is a file: name a folder for the checkpoints'
      )
    options = ocp.CheckpointManagerOptions(
      max_to_keep=max_to_keep, cleanup_tmp_directories=True
    )
    try:
      with disk.full_disk_is_an_error(self.directory):
        self._manager = ocp.CheckpointManager(
          self.directory,
          options=options,
          item_names=('state', 'data', 'packed'),
        )
    except OSError as error:
      raise CheckpointError(
        f'{self.directory}: cannot hold checkpoints ({error.strerror})'
      ) from None

  def __enter__(self) -> 'CheckpointStore':
    return self

  def __exit__(self, *exception: Any) -> None:
    self.close()

  def steps(self) -> list[int]:
    """Steps on disk, oldest first, whether they can be read or not."""
    return sorted(self._manager.all_steps())

  def save(
    self,
    step: int,
    state: PyTree,
    *,
    data_position: dict[str, Any],
    packed: tuple[PyTree, ternary.Rules] | None = None,
    metrics: dict[str, float] | None = None,
  ) -> bool:
    """Starts to save a step; the arrays may be donated when it returns.

    Args:
      step: number of finished training steps.
      state: any tree of arrays.
      data_position: JSON values.
      packed: (float parameters, ternary rules) to store packed as well.
      metrics: JSON values kept with the step.

    Returns:
      False if the step is saved already.

    Raises:
      CheckpointError: the disk is full, now or in the save before this one.
    """
    self._set_aside_unusable()
    if step in self._manager.all_steps():
      return False
    items = {
      'state': ocp.args.StandardSave(state),
      'data': ocp.args.JsonSave(data_position),
    }
    if packed is not None:
      items['packed'] = PackedSave(*packed)
    with disk.full_disk_is_an_error(self.directory):
      # Forced, since Orbax skips a step older than the newest without a word.
      return self._manager.save(
        step,
        args=ocp.args.Composite(**items),
        custom_metadata={'metrics': metrics or {}},
        force=True,
      )

  def restore_latest(
    self, abstract_state: PyTree, *, padded: str | None = None
  ) -> tuple[PyTree, dict[str, Any], int] | None:
    """The newest step that can be read.

    Args:
      abstract_state: tree of `jax.ShapeDtypeStruct` with shardings, those of
        this run's mesh, whatever the checkpoint was saved from.
      padded: a regex over names; such arrays are cut or filled with zeros
        along their first axis, which the mesh pads. Every other array must
        agree in shape and dtype.

    Returns:
      (state, data position, step), or None if there is no checkpoint.

    Raises:
      CheckpointError: a checkpoint of something else, or none that can be
        read where there are some.
    """
    steps = self.steps()
    for step in reversed(steps):
      try:
        state, position = self._restore(step, abstract_state, padded)
      except CheckpointError:
        raise
      except Exception as error:  # Orbax raises just that for damaged data
        self._unusable.append(step)
        if jax.process_index() == 0:
          print(
            f'warning: checkpoint {self.directory / str(step)} cannot be '
            f'read, trying the one before ({disk.first_line(error)})',
            file=sys.stderr,
          )
        continue
      return state, position, step
    if steps:
      raise CheckpointError(
        f'{self.directory}: none of the checkpoints {steps} can be read; '
        'restore the folder from a copy or choose another one'
      )
    return None

  def restore_packed(self, step: int, *, shardings: trees.Rules = ()) -> PyTree:
    """The packed model of a step.

    Raises:
      CheckpointError: the step has none, or it cannot be read.
    """
    path = self.directory / str(step) / 'packed'
    if not path.exists():
      raise CheckpointError(f'{path.parent} holds no packed model')
    args = ocp.args.Composite(packed=PackedRestore(shardings))
    try:
      return self._manager.restore(step, args=args).packed
    except CheckpointError:
      raise
    except Exception as error:  # Orbax raises just that for damaged data
      raise CheckpointError(
        f'{path} cannot be read ({disk.first_line(error)})'
      ) from error

  def wait_until_finished(self) -> None:
    """Returns when the last save is on disk.

    Raises:
      CheckpointError: the disk is full.
    """
    with disk.full_disk_is_an_error(self.directory):
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for the last save and frees the threads.

    Raises:
      CheckpointError: the disk is full.
    """
    with disk.full_disk_is_an_error(self.directory):
      self._manager.close()

  def _restore(
    self, step: int, abstract_state: PyTree, padded: str | None
  ) -> tuple[PyTree, dict[str, Any]]:
    """One step, after its structure has been checked."""
    path = self.directory / str(step)
    handler = ocp.StandardCheckpointHandler()
    stored = handler.metadata(path / 'state').tree
    handler.close()
    check_same_structure(
      stored, abstract_state, f'checkpoint {path}', padded=padded
    )
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(abstract_state, strict=padded is None),
        data=ocp.args.JsonRestore(),
      ),
    )
    return restored.state, restored.data

  def _set_aside_unusable(self) -> None:
    """Renames steps that could not be read, so that they can be saved anew.

    They are not deleted: the cause may lie in the storage, and pass.
    """
    if not self._unusable:
      return
    if jax.process_index() == 0:
      for step in self._unusable:
        path = self.directory / str(step)
        path.rename(self.directory / f'{step}.unusable')
    self._unusable = []
    ocp.utils.sync_global_processes('facejax_set_aside_unusable')
    self._manager.reload()
