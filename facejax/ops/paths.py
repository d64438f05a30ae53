"""Which of two equal computations a platform runs well, and shifted windows.

XLA on CPU runs grouped convolutions, and convolutions of few input channels,
an order of magnitude below the machine. There the same sums are taken as
shifted multiply-adds or as one matrix product over patches. TPU and GPU keep
the convolution. Values agree to float rounding on every path.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]
PATHS = ('auto', 'convolution', 'shifts')
# Layout of activations, kernels and results in every convolution here.
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def by_path(path: str, shifts: Callable, convolution: Callable, *arrays):
  """Runs one of two equal functions, chosen by name or by platform.

  Args:
    path: 'shifts', 'convolution', or 'auto', which takes shifts on CPU.
    shifts: the computation for CPUs.
    convolution: the one for TPU and GPU.
    *arrays: the arguments of both.

  Raises:
    ValueError: an unknown path.
  """
  if path == 'auto':
    return lax.platform_dependent(*arrays, cpu=shifts, default=convolution)
  if path not in PATHS:
    raise ValueError(f'path {path!r} is none of {PATHS}')
  return {'shifts': shifts, 'convolution': convolution}[path](*arrays)


def windows(x, kernel_size, strides, padding):
  """The kh * kw shifted views [B, h, w, C] that a kernel's taps multiply."""
  (top, bottom), (left, right) = padding
  # Interior padding of zero; a negative edge crops.
  x = lax.pad(
    x,
    jnp.zeros((), x.dtype),
    ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)),
  )
  batch, height, width, channels = x.shape
  (kh, kw), (sh, sw) = kernel_size, strides
  rows = (height - kh) // sh + 1
  columns = (width - kw) // sw + 1
  return [
    lax.slice(
      x,
      (0, i, j, 0),
      (batch, i + (rows - 1) * sh + 1, j + (columns - 1) * sw + 1, channels),
      (1, sh, sw, 1),
    )
    for i in range(kh)
    for j in range(kw)
  ]
