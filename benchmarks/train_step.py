"""Training speed of MobileFaceNet: our two depthwise paths and PyTorch.

  python -m benchmarks.train_step
  python -m benchmarks.train_step --width=0.5 --image_size=64 --batch_size=128

Prints images per second of the whole step (forward, backward, SGD) with the
depthwise layers as shifted multiply-adds and as grouped convolutions, then
PyTorch's on the same net, channels last, where PyTorch is installed
(requirements-bench.txt). Median of several steps after a warm-up, one run,
same machine. On CPU the shifts should be at least three times as fast.
"""

import functools
import statistics
import time

from absl import flags

from launch import run

WIDTH = flags.DEFINE_float('width', 1.0, 'Width of the net.', lower_bound=0.1)
IMAGE_SIZE = flags.DEFINE_integer(
  'image_size', 112, 'Height and width of the input.', lower_bound=16
)
STEP_BATCH = flags.DEFINE_integer(
  'step_batch', 32, 'Images in a step.', lower_bound=1
)
STEPS = flags.DEFINE_integer('steps', 5, 'Timed steps.', lower_bound=1)
IDENTITIES = 379


def _rate(step, steps: int, batch_size: int) -> float:
  """Images per second: median over the steps, after one for warming up."""
  step()
  seconds = []
  for _ in range(steps):
    start = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - start)
  return batch_size / statistics.median(seconds)


def facejax_rate(path: str) -> float:
  """Our step, with the given path of the depthwise and stem layers."""
  import jax
  import numpy as np

  from facejax.data.preprocessing import Preprocessing
  from facejax.losses.margins import arcface
  from facejax.models import get_model
  from facejax.parallel import class_sharded
  from facejax.parallel.mesh import make_mesh
  from facejax.training import optimizer, state, step

  size = (IMAGE_SIZE.value, IMAGE_SIZE.value)
  mesh = make_mesh()
  model = get_model(
    'mobilefacenet', image_size=size, width=WIDTH.value, path=path
  )
  schedule = optimizer.make_schedule('constant', peak=0.1, total_steps=100)
  tx = optimizer.make_optimizer(schedule, weight_decay=[('.*kernel', 4e-5)])
  current, shardings = state.create_state(
    model,
    tx,
    key=jax.random.key(0),
    image_size=size,
    num_identities=IDENTITIES,
    mesh=mesh,
  )

  def loss(embeddings, labels, class_weights, *, margin):
    return class_sharded.margin_cross_entropy(
      embeddings,
      labels,
      class_weights,
      num_identities=IDENTITIES,
      mesh=mesh,
      margin_function=functools.partial(arcface, scale=30.0, margin=margin),
    )

  compiled = step.compile_step(
    step.make_train_step(
      model,
      tx,
      loss_function=loss,
      schedule=schedule,
      margin=step.margin_warmup(0.4, 100),
      preprocessing=Preprocessing(),
    ),
    mesh,
    shardings,
  )
  generator = np.random.default_rng(0)
  batch = {
    'image': generator.integers(
      0, 256, (STEP_BATCH.value, *size, 3), dtype=np.uint8
    ),
    'label': generator.integers(
      0, IDENTITIES, STEP_BATCH.value, dtype=np.int32
    ),
  }

  def once():
    nonlocal current
    current, metrics = compiled(current, batch)
    metrics['loss'].block_until_ready()

  return _rate(once, STEPS.value, STEP_BATCH.value)


def main(argv):
  """Times every side and prints the ratios."""
  del argv
  import jax

  from benchmarks import torch_mobilefacenet
  from facejax.parallel.mesh import split_cpu

  split_cpu(STEP_BATCH.value)

  shifts, grouped = facejax_rate('shifts'), facejax_rate('convolution')
  peer = torch_mobilefacenet.training_rate(
    functools.partial(_rate, steps=STEPS.value, batch_size=STEP_BATCH.value),
    width=WIDTH.value,
    image_size=IMAGE_SIZE.value,
    batch_size=STEP_BATCH.value,
    num_identities=IDENTITIES,
  )
  return {
    'device': jax.devices()[0].device_kind,
    'batch_size': STEP_BATCH.value,
    'images_per_second_shifts': round(shifts, 1),
    'images_per_second_grouped': round(grouped, 1),
    'shifts_over_grouped': round(shifts / grouped, 2),
    'images_per_second_torch': peer and round(peer, 1),
    'shifts_over_torch': peer and round(shifts / peer, 2),
  }


if __name__ == '__main__':
  run.run(main)
