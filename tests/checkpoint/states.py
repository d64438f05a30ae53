"""A small training state for the tests of this folder and their children."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

RULES = (('.*/kernel', 'filter'), ('.*class_weights', 'filter'))


@flax.struct.dataclass
class State:
  step: Any
  params: Any
  batch_stats: Any
  opt_state: Any


@functools.partial(jax.jit, static_argnames='width')
def _params(seed, *, width):
  key = jax.random.key(seed)
  return {
    'conv': {
      'kernel': jax.random.normal(key, (3, 3, 7, 10)),
      'bias': jnp.ones(3),
    },
    'head': {'class_weights': jax.random.normal(key, (width, 40))},
  }


def make_state(seed: int, *, width: int = 24) -> State:
  """A state whose numbers depend on `seed`; `width` identities."""
  params = _params(seed, width=width)
  tx = optax.chain(
    optax.add_decayed_weights(1e-4), optax.sgd(0.1, momentum=0.9)
  )
  opt_state = jax.tree.map(lambda x: x + seed, tx.init(params))
  batch_stats = {'norm': {'mean': jnp.full(3, seed, jnp.float32)}}
  return State(jnp.int32(seed), params, batch_stats, opt_state)


def abstract(state, sharding=None):
  """Shapes with shardings, the state's own unless one is given for all."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=sharding or x.sharding
    ),
    state,
  )
