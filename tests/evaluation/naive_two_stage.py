"""Two-stage search one probe and one image at a time, as spec 5 says it."""

import numpy as np


def cosine(a, b):
  """Of unit vectors, in double precision."""
  return float(np.dot(a.astype(np.float64), b.astype(np.float64)))


def hamming(a, b):
  """Bits that differ."""
  return int(((a > 0) != (b > 0)).sum())


def asymmetric(a, b):
  """The logits of a probe against the bits of an image."""
  return float(np.sum(np.where(b > 0, a, -a).astype(np.float64)))


def first_stage(kind, logits, gallery):
  """Rows of the gallery, the nearest first, ties to the lower row."""
  if kind == 'hamming':
    merits = [-hamming(logits, each) for each in gallery]
  else:
    merits = [asymmetric(logits, each) for each in gallery]
  return sorted(
    range(len(gallery)), key=lambda row: (-merits[row], row)
  ), merits


def second_stage(probe, gallery, rows):
  """The most similar of some rows, ties to the lower row."""
  return min(rows, key=lambda row: (-cosine(probe, gallery[row]), row))


def is_right_strictly(probe, gallery, rows, is_mate):
  """Whether a mate is more similar than everybody else; ties are errors."""
  mates = [cosine(probe, gallery[row]) for row in rows if is_mate[row]]
  others = [cosine(probe, gallery[row]) for row in rows if not is_mate[row]]
  return bool(mates) and (not others or max(mates) > max(others))
