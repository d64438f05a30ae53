"""Starting from a trained model: layers matched by path and shape."""

import collections
import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np

from facejax import trees
from facejax.checkpoint.model_directory import read_model_directory
from facejax.compression import packed
from facejax.errors import CheckpointError
from facejax.files import PathLike
from facejax.training.state import HEAD, TrainState, split_head


@dataclasses.dataclass(frozen=True)
class WarmStartReport:
  """Which variables came from the other model, by name.

  Attributes:
    matched: taken over.
    not_in_model: of this run, without a counterpart there: kept as they were
      initialised.
    other_shape: of both, but not of one shape: kept as initialised.
    not_in_run: of the other model alone: left behind.
  """

  matched: list[str]
  not_in_model: list[str]
  other_shape: list[str]
  not_in_run: list[str]

  def print(self, path: PathLike) -> None:
    """Tells what was and what was not taken over, on stderr."""
    wanted = [*self.matched, *self.not_in_model, *self.other_shape]
    print(
      f'init_from {path}: {len(self.matched)} of {len(wanted)} arrays taken '
      'over',
      file=sys.stderr,
    )
    if self.matched:
      blocks = ', '.join(_blocks(self.matched, wanted))
      print(f'  taken over: {blocks}', file=sys.stderr)
    for title in ('not_in_model', 'other_shape', 'not_in_run'):
      for name in getattr(self, title):
        print(f'  {title.replace("_", " ")}: {name}', file=sys.stderr)


def _blocks(taken: list[str], wanted: list[str]) -> list[str]:
  """The blocks of the net that names are of; how much, if not all of one."""
  found, whole = (
    collections.Counter(name.split('/')[1] for name in names)
    for names in (taken, wanted)
  )
  return [
    block if count == whole[block] else f'{block} ({count} of {whole[block]})'
    for block, count in found.items()
  ]


def warm_start(
  state: TrainState,
  path: PathLike,
  *,
  num_identities: int,
  identities_checksum: str,
) -> tuple[TrainState, WarmStartReport]:
  """Takes over what fits from a model directory, float or packed.

  Class weights are taken over only if both were trained on the same people in
  the same order; rows of other people would mislead the first steps.

  Args:
    state: freshly created.
    path: the model directory.
    num_identities: K of this run.
    identities_checksum: of this run's labels.

  Returns:
    The state with the same shardings, its optimiser fresh, and the report.

  Raises:
    CheckpointError: no model there, or no weights of it fit.
  """
  model = read_model_directory(path)
  params = packed.unpack_tree(model.variables['params'])
  found = trees.named_leaves(
    {'params': params, 'batch_stats': model.variables.get('batch_stats', {})}
  )
  trained_on = (model.description['training_data'] or {}).get(
    'identities_checksum'
  )
  head = f'params/{HEAD}/class_weights'
  if trained_on == identities_checksum and model.classifier is not None:
    found[head] = model.classifier
  target = {'params': state.params, 'batch_stats': state.batch_stats}
  report = WarmStartReport([], [], [], [])

  def take(name, old):
    if name not in found:
      report.not_in_model.append(name)
      return old
    new, used = found.pop(name), old.shape
    if name == head:  # stored without the rows that pad it to the mesh
      used = (num_identities, *old.shape[1:])
    if new.shape != used:
      report.other_shape.append(name)
      return old
    report.matched.append(name)
    new = np.asarray(new, old.dtype)
    if used != old.shape:
      padding = [(0, old.shape[0] - used[0])] + [(0, 0)] * (new.ndim - 1)
      new = np.pad(new, padding)
    return jax.device_put(new, old.sharding)

  taken = trees.map_named(take, target)
  report.not_in_run.extend(found)
  # Norms of one length fit by chance: weights must.
  if not any(name.endswith('/kernel') for name in report.matched):
    raise CheckpointError(
      f'init_from {path}: no layer of it fits this model in name and shape'
    )
  net, _ = split_head(taken['params'])
  # Copies: a step donates each array once.
  ema = jax.tree.map(jnp.copy, net) if state.ema else {}
  return state.replace(**taken, ema=ema), report
