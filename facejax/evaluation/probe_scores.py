"""Probes against one face of everybody, on the device: found or not, losses."""

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Bool, Float, Int
from facejax.ops.hamming import hamming_distance, pack_bits
from facejax.ops.norms import l2_normalize

_PROBES_AT_ONCE = 256  # rows of scores that are in memory together


@jax.jit
def identify(
  gallery: Float[Array, 'G D'],
  probes: Float[Array, 'Q D'],
  mates: Int[Array, ' Q'],
  scale: Float[Array, ''],
) -> tuple[Bool[Array, ' Q'], Float[Array, ' Q']]:
  """Whether each probe is found, and its loss; see `IdentificationEvaluator`.

  Args:
    gallery: raw embeddings, one a person.
    probes: raw embeddings.
    mates: the gallery's row of each probe's person.
    scale: of the cosines.

  Returns:
    bool [Q], and the losses, float32 [Q].
  """
  gallery = l2_normalize(gallery)

  def look_up(probe: Array, mate: Array) -> tuple[Array, Array]:
    cosines = jnp.dot(gallery, probe, precision='highest')
    own = cosines[mate]
    others = jnp.where(jnp.arange(len(gallery)) == mate, -jnp.inf, cosines)
    # log(1 + sum of the others' odds), exact for small losses too.
    loss = jax.nn.softplus(jax.nn.logsumexp(scale * (others - own)))
    return others.max() < own, loss

  return lax.map(
    lambda pair: look_up(*pair),
    (l2_normalize(probes), mates),
    batch_size=_PROBES_AT_ONCE,
  )


@jax.jit
def identify_codes(
  gallery: Float[Array, 'G L'],
  probes: Float[Array, 'Q L'],
  mates: Int[Array, ' Q'],
) -> Bool[Array, ' Q']:
  """Whether nobody's code is as near to a probe's as that of its person.

  Args:
    gallery: hash logits, one row a person.
    probes: hash logits.
    mates: the gallery's row of each probe's person.
  """
  gallery = pack_bits(gallery)

  def look_up(probe: Array, mate: Array) -> Array:
    distances = hamming_distance(gallery, probe[None])
    is_mate = jnp.arange(len(gallery)) == mate
    most = jnp.iinfo(distances.dtype).max
    return jnp.where(is_mate, most, distances).min() > distances[mate]

  return lax.map(
    lambda pair: look_up(*pair),
    (pack_bits(probes), mates),
    batch_size=_PROBES_AT_ONCE,
  )
