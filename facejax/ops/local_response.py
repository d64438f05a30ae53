"""Local response normalisation: channels that compete with their neighbours."""

import jax.numpy as jnp

from facejax.array_typing import Array, Float


def local_response_norm(
  x: Float[Array, '*B C'],
  *,
  size: int = 5,
  alpha: float = 1e-4,
  beta: float = 0.75,
) -> Float[Array, '*B C']:
  """y_c = x_c / (1 + alpha / size * sum_j x_j^2)^beta over near channels j.

  The sum is over the `size` channels around c, zeros past the ends, and is
  taken in float32; x's dtype stays. Caffe and PyTorch divide alpha by `size`
  and add 1; the paper does not divide, and adds 2.

  Args:
    x: features.
    size: channels that compete, odd.
    alpha: weight of their energy.
    beta: exponent.

  References:
    Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural
    Networks, 2012, section 3.3; BVLC Caffe, LRNLayer.
  """
  channels = x.shape[-1]
  squares = jnp.square(x.astype(jnp.float32))
  edges = [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)]
  padded = jnp.pad(squares, edges)
  energy = sum(padded[..., j : j + channels] for j in range(size))
  return (x * (1 + alpha / size * energy) ** -beta).astype(x.dtype)
