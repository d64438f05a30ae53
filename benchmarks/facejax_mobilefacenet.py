"""Our side of the speed benchmarks: one MobileFaceNet, forward and step."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks.settings import Settings
from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression.folding import fold_batch_norm
from facejax.models import get_model
from facejax.models.face_net import FaceNet
from facejax.models.mobilefacenet import STAGES

EMBEDDING_SIZE = 128


def stages_of(settings: Settings) -> tuple[tuple[int, int, int, int], ...]:
  """Rows of Table 1 that the net has."""
  return STAGES[: settings.num_stages]


def layer_names(settings: Settings) -> list[str]:
  """Convolutions, each with norm and activation, in order of computation."""
  blocks = [
    f'stage{stage}_block{block}/{part}'
    for stage, (_, _, count, _) in enumerate(stages_of(settings))
    for block in range(count)
    for part in ('expand', 'depthwise', 'project')
  ]
  return ['stem', 'stem_depthwise', *blocks, 'last', 'global', 'embed']


def strides_of(layer: str) -> int:
  """The step of a layer: of the stem, or of a stage's first block."""
  if layer == 'stem':
    return 2
  for stage, (_, _, _, strides) in enumerate(STAGES):
    if layer == f'stage{stage}_block0/depthwise':
      return strides
  return 1


def make_model(settings: Settings, **fields: Any) -> FaceNet:
  """MobileFaceNet at the size and precision of the settings."""
  return get_model(
    'mobilefacenet',
    image_size=(settings.image_size,) * 2,
    width=settings.width,
    embedding_size=EMBEDDING_SIZE,
    stages=stages_of(settings),
    dtype=jnp.bfloat16 if settings.precision == 'bfloat16' else None,
    **fields,
  )


def variable_shapes(model: FaceNet) -> PyTree:
  """Shapes of everything that the model holds."""
  images = jnp.zeros((1, *model.image_size, model.image_channels))
  return jax.eval_shape(
    lambda key: model.init(key, images, False), jax.random.key(0)
  )


@functools.cache
def parameter_shapes(settings: Settings) -> PyTree:
  """Shapes of the parameters of the net, not folded."""
  return variable_shapes(make_model(settings))['params']


def draw_variables(model: FaceNet, seed: int = 0) -> PyTree:
  """Variables whose norms are no identity, so that folding is tested too.

  Drawn by NumPy: compiling an initialiser a layer takes longer than measuring.
  Activations stay of the order of 1, as after training; no peer meets numbers
  so small that processors slow down.
  """
  generator = np.random.default_rng(seed)
  ranges = {
    'scale': (0.5, 1.0),
    'bias': (-0.1, 0.1),
    'mean': (-0.1, 0.1),
    'var': (0.5, 1.5),
    'slope': (0.1, 0.4),
  }

  def draw(name: str, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    kind = name.rpartition('/')[-1]
    if kind in ranges:
      values = generator.uniform(*ranges[kind], leaf.shape)
    else:
      fan_in = np.prod(leaf.shape[:-1])
      values = generator.normal(0, np.sqrt(2 / fan_in), leaf.shape)
    return values.astype(np.float32)

  return trees.map_named(draw, variable_shapes(model))


def draw_images(settings: Settings, batch_size: int) -> np.ndarray:
  """Normalised images, float32 [B, H, W, 3]."""
  shape = (batch_size, settings.image_size, settings.image_size, 3)
  generator = np.random.default_rng(1)
  return generator.uniform(-1, 1, shape).astype(np.float32)


def make_forward(
  settings: Settings,
  variables: PyTree,
  images: np.ndarray,
  *,
  folded: bool = True,
  num_devices: int = 1,
) -> tuple[Callable[[], jax.Array], Any]:
  """A forward pass that is ready to be called, and how it was compiled.

  Args:
    settings: of the net.
    variables: unfolded, see `draw_variables`.
    images: float32 [B, H, W, 3].
    folded: whether BatchNorm is folded first.
    num_devices: devices that share the batch.

  Returns:
    A function that returns the embeddings [B, D] once they are there, and the
    `jax.stages.Compiled`.
  """
  model = make_model(settings, folded=folded)
  if folded:
    variables = fold_batch_norm(variables)
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:num_devices]), 'data')
  spread = functools.partial(NamedSharding, mesh)
  variables = jax.device_put(variables, spread(PartitionSpec()))
  batch = jax.device_put(images, spread(PartitionSpec('data')))
  compiled = (
    jax.jit(lambda variables, batch: model.apply(variables, batch, False))
    .lower(variables, batch)
    .compile()
  )

  def forward() -> jax.Array:
    return compiled(variables, batch).block_until_ready()

  return forward, compiled
