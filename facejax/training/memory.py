"""Bytes that a training step needs on a device, before any is allocated.

What the step is given is exact: shapes divided by shardings, and the compiled
program must say the same. What it needs while it runs is the CPU compiler's
estimate for devices that have compilers of their own.
"""

import dataclasses
import time

import jax
import jax.numpy as jnp

from facejax import trees
from facejax.array_typing import Array, Float, PyTree
from facejax.data.preprocessing import Preprocessing
from facejax.models.face_net import FaceNet
from facejax.parallel import class_sharded, partial_fc
from facejax.parallel.mesh import num_shards
from facejax.training import residuals, step
from facejax.training.learner import Learner
from facejax.training.state import HEAD, abstract_state, split_head

EXACT = (
  'parameters',
  'optimizer',
  'ema',
  'head',
  'head_optimizer',
  'batch',
)
ESTIMATED = ('activations', 'head_workspace')

# Machine code nobody runs need not be fast; buffers are planned before it.
_COMPILER_OPTIONS = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
  # Accelerators have no such pass; it would undo rematerialisation.
  'xla_disable_hlo_passes': 'cse_barrier_expander',
}


class _PixelNet(FaceNet):
  """Pixels as embeddings: a net that is nothing beside its head."""

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    scale = self.param('scale', lambda _: jnp.ones(()))
    return scale * images.reshape(len(images), -1)


@dataclasses.dataclass(frozen=True)
class StepMemory:
  """Bytes per device of one training step.

  Attributes:
    exact: by the names of `EXACT`; their sum is what the compiled step is
      given.
    activations: what the net adds to the head's workspace while a step runs,
      the gradient of its parameters included; estimated.
    head_workspace: temporaries of the head alone, its gradient and sampled
      rows included; estimated.
    compile_seconds: spent in the compiler.
  """

  exact: dict[str, int]
  activations: int
  head_workspace: int
  compile_seconds: float

  @property
  def total(self) -> int:
    """All of it."""
    return sum(self.exact.values()) + self.activations + self.head_workspace

  def by_name(self) -> dict[str, int]:
    """Every part by its name, and the total."""
    return self.exact | {
      'activations': self.activations,
      'head_workspace': self.head_workspace,
      'total': self.total,
    }


def _kind(name: str) -> str:
  """Which of `EXACT` a leaf of the state belongs to, by its name."""
  field, *path = name.split('/')
  if field == 'ema':
    return 'ema'
  head = HEAD in path
  if field == 'opt_state':
    return 'head_optimizer' if head else 'optimizer'
  return 'head' if head else 'parameters'


def state_bytes(shapes: PyTree, shardings: PyTree) -> dict[str, int]:
  """Bytes per device of a training state, by the names of `EXACT`.

  Args:
    shapes: from `abstract_state`, or a state itself.
    shardings: of its leaves.

  Returns:
    'parameters' (running statistics and the step's number among them),
    'optimizer', 'ema', 'head' (class weights and what else the loss learns or
    counts), 'head_optimizer'.
  """
  found = dict.fromkeys(EXACT[:-1], 0)
  places = trees.named_leaves(shardings)
  for name, leaf in trees.named_leaves(shapes).items():
    held = jax.ShapeDtypeStruct(
      places[name].shard_shape(leaf.shape), leaf.dtype
    )
    found[_kind(name)] += trees.byte_count(held)
  return found


def _abstract_batch(learner: Learner, batch_size: int) -> PyTree:
  model = learner.model
  pixels = (batch_size, *model.image_size, 3)
  return {
    'image': jax.ShapeDtypeStruct(pixels, jnp.uint8),
    'label': jax.ShapeDtypeStruct((batch_size,), jnp.int32),
  }


def _measure(
  learner: Learner, batch_size: int
) -> tuple[dict[str, int], int, float]:
  """Exact bytes, the compiler's temporaries, and its seconds."""
  shapes, shardings = abstract_state(learner)
  batch = _abstract_batch(learner, batch_size)
  exact = state_bytes(shapes, shardings)
  exact['batch'] = trees.byte_count(batch) // learner.mesh.size
  start = time.monotonic()
  compiled = (
    step.compile_step(step.make_train_step(learner), learner.mesh, shardings)
    .lower(shapes, batch)
    .compile(compiler_options=_COMPILER_OPTIONS)
  )
  seconds = time.monotonic() - start
  sizes = compiled.memory_analysis()
  given, counted = sizes.argument_size_in_bytes, sum(exact.values())
  if given != counted:
    raise AssertionError(f'a step is given {given} bytes, counted {counted}')
  # The state is donated: what comes out lies where it was, but the metrics.
  fresh = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
  return exact, sizes.temp_size_in_bytes + fresh, seconds


def head_alone(learner: Learner, classifier_size: int) -> Learner:
  """The same head and optimiser under a net of no size.

  Args:
    learner: whose head it is.
    classifier_size: length of what the head sees.
  """
  size = (1, classifier_size)
  return dataclasses.replace(
    learner,
    model=_PixelNet(image_size=size, image_channels=1),
    preprocessing=Preprocessing(size, color_order='GRAY'),
    ternary_schedule=None,
    remat=False,
    ema_decay=0.0,
    hashing=None,
  )


def head_width(learner: Learner) -> int:
  """Length of a row of the class weights."""
  return abstract_state(learner)[0].params[HEAD]['class_weights'].shape[-1]


def head_memory(learner: Learner, batch_size: int) -> StepMemory:
  """What the head of a learner needs, as if its net were nothing.

  Args:
    learner: from `recipe.make_learner`.
    batch_size: B, global.

  Returns:
    Its 'activations' are 0.
  """
  alone = head_alone(learner, head_width(learner))
  exact, workspace, seconds = _measure(alone, batch_size)
  return StepMemory(exact, 0, workspace, seconds)


def step_memory(learner: Learner, batch_size: int) -> StepMemory:
  """What a training step needs, by two programs: the whole, and its head.

  Args:
    learner: from `recipe.make_learner`; its model computes convolutions as the
      devices that are meant will (`conv_path='convolution'`).
    batch_size: B, global.
  """
  head = head_memory(learner, batch_size)
  plain = dataclasses.replace(
    learner, model=learner.model.clone(dtype='float32')
  )
  exact, temporary, seconds = _measure(plain, batch_size)
  activations = temporary - head.head_workspace
  activations -= residuals.saved_by_type(learner, batch_size)
  return StepMemory(
    exact,
    max(0, activations),
    head.head_workspace,
    seconds + head.compile_seconds,
  )


def exchanged_bytes(learner: Learner, batch_size: int) -> dict[str, int]:
  """Bytes that a step's collective operations put together, by what for.

  Args:
    learner: see `step_memory`.
    batch_size: B, global.

  Returns:
    'head': `class_sharded.bytes_exchanged`, and where the identities are not
    split over all axes, the gradient of a shard's (sampled) class weights,
    which is summed over the others. 'gradients': of the net's parameters,
    float32. Both sums are made once for each micro-batch. Left out are
    BatchNorm's statistics, a few kilobytes, and the products of L hash bits,
    twice 4 L^2 bytes.
  """
  head, mesh = learner.head, learner.mesh
  if mesh.size == 1:
    return {'head': 0, 'gradients': 0}
  params = abstract_state(learner)[0].params
  net, weights = split_head(params)
  sampled = head.sample_rate < 1
  shards = num_shards(mesh, head.axes)
  crossing = class_sharded.bytes_exchanged(
    batch_size, head_width(learner), sampled=sampled
  )
  if shards < mesh.size:
    rows = head.rows // shards
    if sampled:
      rows = partial_fc.sample_size(head.sample_rate, rows, batch_size)
    row = trees.byte_count(weights['class_weights']) // head.rows
    crossing += learner.micro_batches * rows * row
  return {
    'head': crossing,
    'gradients': learner.micro_batches * trees.byte_count(net),
  }
