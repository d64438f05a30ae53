"""An Orbax item that holds a model in 2 bits a weight.

Packing is jitted and runs where the arrays live, at every save, so that it
works for parameters sharded over many hosts; only packed words go to disk.
"""

import dataclasses
from typing import Any

import jax
import orbax.checkpoint as ocp

from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression import packed, packed_arrays, ternary
from facejax.errors import CheckpointError


class PackedCheckpointHandler(ocp.AsyncCheckpointHandler):
  """Saves float parameters as a packed tree; asynchronous.

  The source arrays may be donated as soon as `async_save` returns: packing
  has been dispatched and Orbax has taken its copies by then.
  """

  def __init__(self, **options: Any):
    """Takes the options of `ocp.StandardCheckpointHandler`."""
    self._impl = ocp.StandardCheckpointHandler(**options)

  def _standard_save(self, args: 'PackedSave') -> ocp.args.StandardSave:
    tree = args.params
    if args.rules:
      tree = packed.pack_tree_jit(tree, args.rules)
    arrays, metadata = packed_arrays.to_arrays(tree)
    return ocp.args.StandardSave(arrays, custom_metadata=metadata)

  async def async_save(self, directory: Any, args: 'PackedSave') -> Any:
    """Packs on the device, then writes in the background."""
    return await self._impl.async_save(
      directory, args=self._standard_save(args)
    )

  def save(self, directory: Any, args: 'PackedSave') -> None:
    """Packs and writes before returning."""
    self._impl.save(directory, args=self._standard_save(args))

  def restore(
    self, directory: Any, args: 'PackedRestore | None' = None
  ) -> PyTree:
    """The packed tree, on the devices that `args` names.

    Raises:
      CheckpointError: unfit metadata or corrupt codes.
    """
    args = args or PackedRestore()
    metadata = self._impl.metadata(directory)
    if not metadata.custom_metadata:
      raise CheckpointError(f'{directory} holds no packed weights')
    target = abstract_arrays(metadata.tree, args.shardings)
    # Refuses unfit metadata before anything is allocated.
    packed_arrays.from_arrays(target, metadata.custom_metadata)
    arrays = self._impl.restore(
      directory, args=ocp.args.StandardRestore(target)
    )
    tree = packed_arrays.from_arrays(arrays, metadata.custom_metadata)
    packed_arrays.check_packed(tree)
    return tree

  def metadata(self, directory: Any) -> Any:
    """Shapes and dtypes of the stored arrays, and our metadata."""
    return self._impl.metadata(directory)

  def finalize(self, directory: Any) -> None:
    """Completes the item on disk."""
    self._impl.finalize(directory)

  def close(self) -> None:
    """Frees the resources of the wrapped handler."""
    self._impl.close()


@ocp.args.register_with_handler(PackedCheckpointHandler, for_save=True)
@dataclasses.dataclass
class PackedSave(ocp.args.CheckpointArgs):
  """Saves `params`, packed by `rules`.

  Attributes:
    params: float parameters, sharded or not; leaves that are packed already
      are saved as they are.
    rules: (regex over the name, granularity), see `compression.ternary`.
  """

  params: PyTree
  rules: ternary.Rules = ()


@ocp.args.register_with_handler(PackedCheckpointHandler, for_restore=True)
@dataclasses.dataclass
class PackedRestore(ocp.args.CheckpointArgs):
  """Restores a packed tree on any number of devices.

  Attributes:
    shardings: (regex over the name of a stored array, sharding); packed
      tensors have two, NAME/words and NAME/alpha. Others go to the first
      local device.
  """

  shardings: trees.Rules = ()


def abstract_arrays(metadata: PyTree, shardings: trees.Rules = ()) -> PyTree:
  """What to restore, from Orbax metadata, with a sharding on every leaf.

  Without one Orbax asks for the devices that the arrays were saved from.
  """
  first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

  def abstract(name, leaf):
    sharding = trees.first_match(shardings, name, first)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

  return trees.map_named(abstract, metadata)
