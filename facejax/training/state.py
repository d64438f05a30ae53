"""What a training step carries on, created where it will live.

Parameters are one tree: the model's own names at the top, and the class
weights of the margin head under 'head/class_weights'. Rules over names
(sharding, decay, freezing, ternary) therefore read the same in training and
in a model directory.
"""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh

from facejax.array_typing import Array, Float, Key, PyTree
from facejax.parallel import class_sharded
from facejax.parallel import mesh as mesh_lib

HEAD = 'head'


@flax.struct.dataclass
class TrainState:
  """All that training needs to continue bit for bit, but for the data.

  Invariants: `opt_state` belongs to `params`; rows of the class weights past
  the number of identities are zero and stay zero.
  """

  step: Any  # int32 [], updates done
  params: Any  # model parameters by name; head/class_weights float32 [R, D]
  batch_stats: Any  # running mean and variance of every BatchNorm
  opt_state: Any


def split_head(params: PyTree) -> tuple[PyTree, Float[Array, 'R D']]:
  """The model's own parameters, and the class weights."""
  backbone = {name: leaf for name, leaf in params.items() if name != HEAD}
  return backbone, params[HEAD]['class_weights']


def join_head(backbone: PyTree, class_weights: Any) -> PyTree:
  """Inverse of `split_head`."""
  return {**backbone, HEAD: {'class_weights': class_weights}}


def create_state(
  model: nn.Module,
  tx: optax.GradientTransformation,
  *,
  key: Key,
  image_size: tuple[int, int],
  num_identities: int,
  mesh: Mesh,
  image_channels: int = 3,
) -> tuple[TrainState, TrainState]:
  """Initial state, each leaf created on the devices that will hold it.

  The values do not depend on the mesh. Class weights are Xavier uniform.

  Args:
    model: maps images [B, H, W, C] to embeddings [B, D].
    tx: the optimiser.
    key: of the initial values.
    image_size: (height, width) of the model's input.
    num_identities: K.
    mesh: the device mesh.
    image_channels: C of the model's input.

  Returns:
    The state, and the tree of its shardings.
  """
  rows = class_sharded.padded_rows(num_identities, mesh.size)
  xavier = nn.initializers.xavier_uniform()

  def initialise(key):
    model_key, head_key = jax.random.split(key)
    images = jnp.zeros((1, *image_size, image_channels), jnp.float32)
    variables = model.init(model_key, images, False)
    embedding = model.apply(variables, images, False)
    weights = xavier(head_key, (num_identities, embedding.shape[-1]))
    padding = ((0, rows - num_identities), (0, 0))
    params = join_head(variables['params'], jnp.pad(weights, padding))
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      batch_stats=variables.get('batch_stats', {}),
      opt_state=tx.init(params),
    )

  shapes = jax.eval_shape(initialise, key)
  shardings = mesh_lib.tree_shardings(shapes, mesh)
  return jax.jit(initialise, out_shardings=shardings)(key), shardings
