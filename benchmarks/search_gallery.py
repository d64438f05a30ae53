"""A gallery of random faces with planted mates, and codes of them."""

from typing import NamedTuple

import numpy as np

_BLOCK = 1 << 14
# Cosines of genuine pairs, as a good embedding has them in the wild.
MATE_MEAN, MATE_DEVIATION = 0.63, 0.13
MATE_RANGE = (0.05, 0.99)


class Faces(NamedTuple):
  """Unit vectors, and what their codes are the signs of.

  Attributes:
    gallery: float32 [T, D].
    probes: float32 [Q, D].
    mates: int [Q], the row of each probe's person.
    projection: float32 [D, L], L the longest code.
    codes: uint8 [T, L / 8], signs of gallery @ projection.
  """

  gallery: np.ndarray
  probes: np.ndarray
  mates: np.ndarray
  projection: np.ndarray
  codes: np.ndarray

  def codes_of(self, bits: int) -> np.ndarray:
    """Codes of the first projections, uint8 [T, bits / 8]."""
    return np.ascontiguousarray(self.codes[:, : bits // 8])

  def logits_of(self, bits: int) -> np.ndarray:
    """Projections of the probes, float32 [Q, bits]."""
    return self.probes @ np.ascontiguousarray(self.projection[:, :bits])


def pack_signs(logits: np.ndarray) -> np.ndarray:
  """Codes of logits, uint8 [N, L / 8]."""
  return np.packbits(logits > 0, axis=1, bitorder='little')


def _unit(x: np.ndarray) -> np.ndarray:
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  return x


def draw_faces(count: int, num_probes: int, size: int, bits: int) -> Faces:
  """Draws a gallery, and probes at random cosines to rows of it.

  Args:
    count: T.
    num_probes: Q, at most T.
    size: D.
    bits: of the longest code.
  """
  rng = np.random.default_rng(0)
  projection = rng.standard_normal((size, bits), np.float32)
  gallery = np.empty((count, size), np.float32)
  codes = np.empty((count, bits // 8), np.uint8)
  for start in range(0, count, _BLOCK):
    block = gallery[start : start + _BLOCK]
    rng.standard_normal(dtype=np.float32, out=block)
    codes[start : start + _BLOCK] = pack_signs(_unit(block) @ projection)
  mates = rng.choice(count, num_probes, replace=False)
  cosines = rng.normal(MATE_MEAN, MATE_DEVIATION, (num_probes, 1))
  cosines = np.clip(cosines, *MATE_RANGE).astype(np.float32)
  noise = rng.standard_normal((num_probes, size), np.float32)
  faces = gallery[mates]
  noise -= (noise * faces).sum(axis=1, keepdims=True) * faces
  probes = cosines * faces + np.sqrt(1 - cosines**2) * _unit(noise)
  return Faces(gallery, _unit(probes), mates, projection, codes)
