"""A model directory: what training writes and everything else reads.

  model.json    what the model is and how to use it, see `FIELDS`
  params/       Orbax item of its variables, float or packed in 2 bits
  classifier/   Orbax item of the class weights [K, D], or [K, C, D] with
                sub-centres, if they were kept

It appears whole or not at all, and opens on any number of devices.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from facejax import files
from facejax.array_typing import AnyArray, Float, PyTree
from facejax.checkpoint import disk
from facejax.checkpoint.packed_handler import (
  PackedCheckpointHandler,
  PackedRestore,
  PackedSave,
  abstract_arrays,
)
from facejax.compression import packed, ternary
from facejax.errors import CheckpointError, DataError
from facejax.files import Path, PathLike

FORMAT_VERSION = 1
FIELDS = (
  'architecture',  # {name, fields} for facejax.models.get_model
  'embedding_size',
  'hash_bits',  # null without a hash layer
  'preprocessing',  # Preprocessing.to_json
  'training_mean',  # the mean embedding of training faces, or null
  'thresholds',  # by false-accept rate, or null
  'ternary',  # {rules, post_training}, or null
  'training_data',  # {identities_checksum, ...}, or null
  'golden',  # {seed, embedding, logits of a hash layer}, to verify a model
)


@dataclasses.dataclass(frozen=True)
class ModelDirectory:
  """A model directory that has been read.

  Attributes:
    path: where it is.
    description: `model.json`.
    variables: {'params': ..., 'batch_stats': ...}; params with
      `PackedTernary` leaves if `is_packed`.
  """

  path: Path
  description: dict[str, Any]
  variables: PyTree

  @property
  def is_packed(self) -> bool:
    """Whether the weights are stored in 2 bits."""
    return self.description['storage'] == 'packed'

  @functools.cached_property
  def classifier(self) -> Float[AnyArray, 'K *C D'] | None:
    """The class weights, read on first use; None if they were not kept."""
    path = self.path / 'classifier'
    if not path.exists():
      return None
    return _read_item(path, _read_float)['class_weights']


def _local_copy(tree: PyTree) -> PyTree:
  """The tree on this process; every process must call it."""
  if jax.process_count() == 1:
    return tree
  return jax.tree.map(
    lambda x: multihost_utils.process_allgather(x, tiled=True), tree
  )


def _save_item(path: Path, tree: PyTree, is_packed: bool) -> None:
  """Writes one Orbax item from this process alone."""
  options = ocp.options.MultiprocessingOptions(
    primary_host=jax.process_index(),
    active_processes={jax.process_index()},
    barrier_sync_key_prefix='facejax_model_directory',
  )
  if is_packed:
    handler = PackedCheckpointHandler(multiprocessing_options=options)
    args = PackedSave(tree)
  else:
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=options)
    args = ocp.args.StandardSave(tree)
  with ocp.Checkpointer(
    handler, multiprocessing_options=options
  ) as checkpointer:
    checkpointer.save(path.absolute(), args=args)


def write_model_directory(
  path: PathLike,
  *,
  description: dict[str, Any],
  variables: PyTree,
  rules: ternary.Rules | None = None,
  classifier: Float[AnyArray, 'K *C D'] | None = None,
  overwrite: bool = False,
) -> None:
  """Writes a model directory, whole or not at all.

  With several processes all of them call it; packing runs where the arrays
  live, then every process gathers the (packed) arrays and the first writes
  them. A classifier too large for one host's memory must not be passed.

  Args:
    path: the new folder.
    description: the `FIELDS` of `model.json`.
    variables: {'params': float parameters, 'batch_stats': ...}.
    rules: packs the parameters that they select; None stores floats.
    classifier: class weights to keep beside the model.
    overwrite: replaces what stands at `path`, at the very end.

  Raises:
    UsageError: `path` has content and `overwrite` is False.
    CheckpointError: the description is incomplete, or the disk is full.
  """
  if missing := [field for field in FIELDS if field not in description]:
    raise CheckpointError(f'model description without {", ".join(missing)}')
  storage = 'float' if rules is None else 'packed'
  if rules is not None:
    params = packed.pack_tree_jit(variables['params'], rules)
    variables = {**variables, 'params': params}
  variables, classifier = _local_copy((variables, classifier))
  if jax.process_index() == 0:
    with (
      disk.full_disk_is_an_error(path),
      files.new_directory(path, overwrite=overwrite) as folder,
    ):
      _save_item(folder / 'params', variables, storage == 'packed')
      if classifier is not None:
        tree = {'class_weights': classifier}
        _save_item(folder / 'classifier', tree, False)
      files.write_json(
        folder / 'model.json',
        {'format_version': FORMAT_VERSION, 'storage': storage, **description},
      )
  ocp.utils.sync_global_processes('facejax_write_model_directory')


def _read_float(path: Path) -> PyTree:
  """A float item on the first device, whatever it was saved from."""
  with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
    target = abstract_arrays(checkpointer.metadata(path).item_metadata.tree)
    return checkpointer.restore(path, args=ocp.args.StandardRestore(target))


def _read_packed(path: Path) -> PyTree:
  """A packed item on the first device."""
  with ocp.Checkpointer(PackedCheckpointHandler()) as checkpointer:
    return checkpointer.restore(path, args=PackedRestore())


def _read_item(path: Path, read: Callable[[Path], PyTree]) -> PyTree:
  """One item; damage of any kind is one line."""
  disk.silence_orbax_tracebacks()
  try:
    return read(path.absolute())
  except CheckpointError as error:
    raise CheckpointError(f'{path}: {error}') from None
  except Exception as error:  # Orbax raises just that for damaged data
    raise CheckpointError(
      f'{path} is damaged or cut short ({disk.first_line(error)}); restore it '
      'from a copy'
    ) from error


def read_description(path: PathLike) -> dict[str, Any]:
  """The `model.json` of a model directory.

  Raises:
    CheckpointError: no model directory, or one that this version cannot read.
  """
  path = Path(path)
  if not path.is_dir():
    raise CheckpointError(f'{path}: no such model directory')
  if not (path / 'model.json').exists():
    raise CheckpointError(f'{path} is no model directory: it has no model.json')
  try:
    description = files.read_json(path / 'model.json')
  except DataError as error:
    raise CheckpointError(str(error)) from None
  if not isinstance(description, dict):
    raise CheckpointError(f'{path / "model.json"}: expected a JSON object')
  version = description.get('format_version')
  if version != FORMAT_VERSION:
    raise CheckpointError(
      f'{path}: model format version {version!r}, this facejax reads '
      f'{FORMAT_VERSION}'
    )
  for field in (*FIELDS, 'storage'):
    if field not in description:
      raise CheckpointError(f'{path / "model.json"} has no {field!r}')
  return description


def read_model_directory(path: PathLike) -> ModelDirectory:
  """Reads a model directory onto the first device.

  Raises:
    CheckpointError: missing, damaged or of an unknown version.
  """
  description = read_description(path)
  readers = {'float': _read_float, 'packed': _read_packed}
  if description['storage'] not in readers:
    raise CheckpointError(f'{path}: unknown storage {description["storage"]!r}')
  variables = _read_item(Path(path) / 'params', readers[description['storage']])
  if 'params' not in variables:
    raise CheckpointError(f'{path}: params/ holds no model variables')
  return ModelDirectory(Path(path), description, variables)
