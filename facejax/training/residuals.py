"""What autodiff keeps of a net between its two passes, by type.

The CPU computes 16-bit types by way of float32, and its compiler's estimate
of them is that of float32 or more. So a step is measured in float32, and what
a smaller type saves of the arrays kept is taken off; this is counted from
shapes. Other temporaries stay as large as in float32: too much, if anything.
"""

from typing import Any

import jax
import jax.numpy as jnp

from facejax import trees
from facejax.nn.rematerialization import rematerialize
from facejax.training.learner import Learner
from facejax.training.state import abstract_state, split_head


def _kept_bytes(learner: Learner, images: int, dtype: Any) -> int:
  """Bytes that the backward pass of so many images is kept, in a type."""
  model = learner.model.clone(dtype=dtype)
  inputs = jax.ShapeDtypeStruct(
    (images, *model.image_size, model.image_channels), jnp.float32
  )
  shapes = abstract_state(learner)[0]
  net, _ = split_head(shapes.params)
  stats, _ = split_head(shapes.batch_stats)

  def kept(net, stats, inputs):
    def apply(net, inputs):
      return model.apply(
        {'params': net, 'batch_stats': stats},
        inputs,
        True,
        mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(0)},
        method='outputs',
      )[0]

    if learner.remat:
      apply = rematerialize(apply)
    return jax.vjp(lambda net: apply(net, inputs), net)[1]

  return trees.byte_count(jax.eval_shape(kept, net, stats, inputs))


def saved_by_type(learner: Learner, batch_size: int) -> int:
  """Bytes per device that the net's type keeps less than float32.

  Args:
    learner: from `recipe.make_learner`.
    batch_size: B, global.
  """
  dtype = jnp.dtype(learner.model.dtype or jnp.float32)
  if dtype == jnp.float32:
    return 0
  images = batch_size // (learner.mesh.size * learner.micro_batches)
  kept = [_kept_bytes(learner, images, kind) for kind in (jnp.float32, dtype)]
  return kept[0] - kept[1]
