"""Variables of a module without its initialisers, which take seconds to run."""

import jax
import jax.numpy as jnp
import numpy as np

from facejax import trees


def numpy_variables(module, *args, seed=0, drawn=False):
  """Kernels of unit gain; the rest as it begins, or as after training.

  Args:
    module: to be initialised.
    *args: of its call.
    seed: of the values.
    drawn: draws norms, biases, slopes and statistics, so that none is 0 or 1.
  """
  shapes = jax.eval_shape(
    lambda key: module.init(key, *args), jax.random.key(0)
  )
  generator = np.random.default_rng(seed)

  def draw(name, leaf):
    if name.endswith('kernel'):
      deviation = np.prod(leaf.shape[:3]) ** -0.5
      return jnp.asarray(deviation * generator.normal(size=leaf.shape), 'f')
    is_positive = name.endswith(('scale', 'var'))
    if drawn:
      low, high = (0.5, 2.0) if is_positive else (-0.5, 0.5)
      return jnp.asarray(generator.uniform(low, high, leaf.shape), 'f')
    if name.endswith('slope'):
      return jnp.full(leaf.shape, 0.25)
    return jnp.full(leaf.shape, float(is_positive))

  return trees.map_named(draw, shapes)
