"""Our training step of the speed benchmarks, and what all sides start from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import facejax_mobilefacenet as ours
from benchmarks.settings import Settings
from facejax.array_typing import PyTree
from facejax.data.preprocessing import Preprocessing
from facejax.losses.margin_loss import make_margin_loss
from facejax.models.face_net import FaceNet
from facejax.parallel import mesh as mesh_lib
from facejax.parallel.head import MarginHead
from facejax.training import optimizer, state, step
from facejax.training.learner import Learner

IDENTITIES = 379
SCALE, MARGIN = 30.0, 0.4
LEARNING_RATE = 0.1


@dataclasses.dataclass(frozen=True)
class TrainInput:
  """Weights and batch of the first step.

  Attributes:
    variables: of `MobileFaceNet`.
    class_weights: float32 [K, D].
    images: uint8 [B, H, W, 3].
    labels: int32 [B].
  """

  variables: PyTree
  class_weights: np.ndarray
  images: np.ndarray
  labels: np.ndarray


def draw_input(settings: Settings, batch_size: int) -> TrainInput:
  """The same for every side."""
  generator = np.random.default_rng(2)
  size = (batch_size, settings.image_size, settings.image_size, 3)
  weights = generator.normal(size=(IDENTITIES, ours.EMBEDDING_SIZE))
  return TrainInput(
    variables=ours.draw_variables(ours.make_model(settings)),
    class_weights=weights.astype(np.float32),
    images=generator.integers(0, 256, size, dtype=np.uint8),
    labels=generator.integers(0, IDENTITIES, batch_size, dtype=np.int32),
  )


def _initial_state(inputs: TrainInput, learner: Learner) -> tuple:
  """The state on its devices, and its shardings."""
  rows = learner.head.rows
  weights = np.pad(inputs.class_weights, ((0, rows - IDENTITIES), (0, 0)))
  params = state.join_head(
    inputs.variables['params'], {'class_weights': weights}
  )
  current = state.TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=inputs.variables['batch_stats'],
    opt_state=learner.tx.init(params),
    ema={},
  )
  _, shardings = state.abstract_state(learner)
  return jax.device_put(current, shardings), shardings


def make_step(
  settings: Settings,
  inputs: TrainInput,
  *,
  num_devices: int = 1,
  path: str = 'auto',
) -> tuple[Callable[[], float], Any]:
  """A training step that is ready to be called, and how it was compiled.

  Args:
    settings: of the net.
    inputs: weights and batch to begin with.
    num_devices: devices that share the batch.
    path: of convolutions, see `ops.paths.by_path`.

  Returns:
    A function that does a step and returns the loss before it, and the
    `jax.stages.Compiled`.
  """
  model: FaceNet = ours.make_model(settings, conv_path=path)
  mesh = mesh_lib.make_mesh(devices=jax.devices()[:num_devices])
  schedule = optimizer.make_schedule(
    'constant', peak=LEARNING_RATE, total_steps=100
  )
  tx = optimizer.make_optimizer(schedule, weight_decay=[('.*kernel', 4e-5)])
  learner = Learner(
    model,
    MarginHead(
      make_margin_loss('arcface', scale=SCALE, margin=MARGIN), IDENTITIES, mesh
    ),
    tx,
    schedule,
    Preprocessing(image_size=model.image_size),
  )
  current, shardings = _initial_state(inputs, learner)
  batch = jax.device_put(
    {'image': inputs.images, 'label': inputs.labels},
    mesh_lib.batch_sharding(mesh),
  )
  train_step = step.make_train_step(learner)
  compiled = (
    step.compile_step(train_step, mesh, shardings)
    .lower(current, batch)
    .compile()
  )

  def once() -> float:
    nonlocal current
    current, metrics = compiled(current, batch)
    jax.block_until_ready(current)
    return float(metrics['loss'])

  return once, compiled
