"""Checkpoints of a training run: save, prune, restore the latest good one."""

from typing import Any

import jax
import orbax.checkpoint as ocp

from facejax import trees
from facejax.array_typing import PyTree
from facejax.checkpoint import disk
from facejax.checkpoint.packed_handler import PackedSave
from facejax.checkpoint.ranking import Ranking
from facejax.checkpoint.reading import read_packed, read_state
from facejax.compression import ternary
from facejax.errors import CheckpointError, PeerError
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

  def __init__(
    self,
    directory: PathLike,
    *,
    max_to_keep: int | None = 3,
    keep_best: str | None = None,
    best_is: str = 'max',
    read_only: bool = False,
  ):
    """Opens or creates the folder and removes unfinished saves from it.

    Args:
      directory: local path or gs://.
      max_to_keep: newest steps that are kept; None keeps all.
      keep_best: a metric, for example 'evaluation/lfw/accuracy'; the step where
        it is best is kept as well.
      best_is: 'max' or 'min'.
      read_only: changes nothing in the folder, and refuses to save.

    Raises:
      CheckpointError: it is a file, or the folder cannot be created, or, to
        read only, is not there.
      UsageError: `best_is` is something else.
    """
    self.directory = Path(directory).absolute()
    self._read_only = read_only
    self._unusable: list[int] = []
    self._ranking = Ranking(self.directory, metric=keep_best, best_is=best_is)
    self._check_directory()
    try:
      with disk.full_disk_is_an_error(self.directory):
        self._manager = self._open(max_to_keep)
    except OSError as error:
      raise CheckpointError(
        f'{self.directory}: cannot hold checkpoints ({error.strerror})'
      ) from None

  def _check_directory(self) -> None:
    if self.directory.exists() and not self.directory.is_dir():
      raise CheckpointError(
        f'{self.directory} is a file: name a folder for the checkpoints'
      )
    if self._read_only and not self.directory.exists():
      raise CheckpointError(f'{self.directory}: no such folder of checkpoints')

  def _open(self, max_to_keep: int | None) -> ocp.CheckpointManager:
    policies = ocp.checkpoint_managers
    # Not Orbax's read_only, which warns of every default that it changes.
    options = ocp.CheckpointManagerOptions(
      preservation_policy=policies.AnyPreservationPolicy(
        [policies.LatestN(max_to_keep), self._ranking]
      ),
      create=not self._read_only,
      cleanup_tmp_directories=not self._read_only,
    )
    items = ('state', 'data', 'packed')
    return ocp.CheckpointManager(
      self.directory, options=options, item_names=items
    )

  def __enter__(self) -> 'CheckpointStore':
    return self

  def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
    # A save under way needs every process: without one it would never end.
    if not isinstance(error, PeerError):
      self.close()

  def steps(self) -> list[int]:
    """Steps on disk, oldest first, whether they can be read or not."""
    return sorted(self._manager.all_steps())

  def best_step(self) -> int | None:
    """The newest step where `keep_best` is best; None if none has a value."""
    return self._ranking.best(self.steps())

  def metrics_of(self, step: int) -> dict[str, float]:
    """What a step was saved with; {} if that cannot be read."""
    return self._ranking.metrics_of(step)

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
      metrics: kept with the step, the same on every process.

    Returns:
      False if the step is saved already.

    Raises:
      CheckpointError: the disk is full, now or in the save before this one, or
        the store was opened to read only.
    """
    if self._read_only:
      raise CheckpointError(f'{self.directory} was opened to read only')
    self._set_aside_unusable()
    if step in self._manager.all_steps():
      return False
    self._ranking.add(step, metrics or {})
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
    self,
    abstract_state: PyTree,
    *,
    padded: str | None = None,
    before: int | None = None,
  ) -> tuple[PyTree, dict[str, Any], int] | None:
    """The newest step that can be read.

    Args:
      abstract_state: tree of `jax.ShapeDtypeStruct` with shardings, those of
        this run's mesh, whatever the checkpoint was saved from.
      padded: a regex over names; such arrays are cut or filled with zeros
        along their first axis, which the mesh pads. Every other array must
        agree in shape and dtype.
      before: takes no step later than this one; None takes any.

    Returns:
      (state, data position, step), or None if there is no such checkpoint.

    Raises:
      CheckpointError: a checkpoint of something else, or none that can be
        read where there are some.
    """
    steps = [s for s in self.steps() if before is None or s <= before]
    for step in reversed(steps):
      found = read_state(self._path(step), abstract_state, padded=padded)
      if found is not None:
        return (*found, step)
      self._unusable.append(step)
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
    return read_packed(
      self._manager, self._path(step), step, shardings=shardings
    )

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

  def _path(self, step: int) -> Path:
    return self.directory / str(step)

  def _set_aside_unusable(self) -> None:
    """Renames steps that could not be read, so that they can be saved anew.

    They are not deleted: the cause may lie in the storage, and pass.
    """
    if not self._unusable:
      return
    for step in self._unusable:
      self._ranking.forget(step)
      if jax.process_index() == 0:
        self._path(step).rename(self.directory / f'{step}.unusable')
    self._unusable = []
    ocp.utils.sync_global_processes('facejax_set_aside_unusable')
    self._manager.reload()
