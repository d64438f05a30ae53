"""A learner whose step compiles in seconds, without a data set."""

import jax
import jax.numpy as jnp
import numpy as np

from facejax.data.preprocessing import Preprocessing
from facejax.losses.margin_loss import make_margin_loss
from facejax.models import get_model
from facejax.parallel.head import MarginHead
from facejax.parallel.mesh import batch_sharding
from facejax.training import optimizer, state, step
from facejax.training.learner import Learner

SIZE, EMBEDDING = (16, 16), 8


def make_learner(
  mesh, *, identities=40, loss='arcface', rate=0.1, decay=5e-4, head=None,
  model=None, clip_norm=0.0, **fields,
):  # fmt: skip
  """SGD with momentum and decay on a net of four convolutions."""
  net = get_model(
    'sphereface4', image_size=SIZE, width=0.0625, embedding_size=EMBEDDING,
    **(model or {}),
  )  # fmt: skip
  margin_loss = make_margin_loss(
    loss, **({'scale': 8.0} if loss == 'arcface' else {})
  )
  return Learner(
    net,
    MarginHead(margin_loss, identities, mesh, **(head or {})),
    optimizer.make_optimizer(
      lambda step: rate, weight_decay=[('.*', decay)], clip_norm=clip_norm
    ),
    lambda step: rate,
    Preprocessing(SIZE),
    **fields,
  )


def make_batch(identities, seed=0, size=16):
  """Random pixels and labels."""
  generator = np.random.default_rng(seed)
  return {
    'image': generator.integers(0, 256, (size, *SIZE, 3), dtype=np.uint8),
    'label': generator.integers(0, identities, size).astype(np.int32),
  }


def run_steps(learner, count, *, identities=40, size=16, first=None):
  """Host copies of the states and the metrics of a few steps."""
  current, shardings = state.create_state(learner, jax.random.key(0))
  if first is not None:
    current = jax.device_put(first, shardings)
  compiled = step.compile_step(
    step.make_train_step(learner), learner.mesh, shardings
  )
  states, metrics = [jax.tree.map(np.array, current)], []
  for number in range(count):
    batch = jax.device_put(
      make_batch(identities, number, size), batch_sharding(learner.mesh)
    )
    current, values = compiled(current, batch)
    states.append(jax.tree.map(np.array, current))
    metrics.append({name: float(value) for name, value in values.items()})
  return states, metrics


def on_device(tree):
  """Host arrays as JAX arrays."""
  return jax.tree.map(jnp.asarray, tree)
