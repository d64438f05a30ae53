"""The modes of pair verification: from embeddings to scores (spec 13.1).

The same embeddings give up to half a point of accuracy more or less by the
mode alone, so a mode is part of every result.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings

_BLOCK = 1 << 16  # pairs scored at a time, which bounds the memory
_LARGEST = np.float32(1e16)  # squares of larger ones leave float32


@dataclasses.dataclass(frozen=True)
class EmbeddedPairs:
  """Raw embeddings of images and the pairs among them.

  Attributes:
    plain: float [N, D], of the images as they are, not normalised.
    flip: float [N, D], of the mirrored images; None where nobody has them.
    index_a: int [P], row of the first image of a pair.
    index_b: int [P], row of the second.
    same: bool [P].
    folds: int [P], 0 .. F-1.
    training_mean: float [D], mean raw embedding of training faces, or None.
  """

  plain: Float[np.ndarray, 'N D']
  flip: Float[np.ndarray, 'N D'] | None
  index_a: Int[np.ndarray, ' P']
  index_b: Int[np.ndarray, ' P']
  same: Bool[np.ndarray, ' P']
  folds: Int[np.ndarray, ' P']
  training_mean: Float[np.ndarray, ' D'] | None


def _normalized(x: Float[np.ndarray, 'N D']) -> Float[np.ndarray, 'N D']:
  """Rows of unit norm; a row of zeros stays and is like nothing."""
  norms = np.linalg.norm(x, axis=1, keepdims=True)
  return x / np.where(norms > 0, norms, 1)


def _cosine(
  features: Float[np.ndarray, 'N D'], pairs: EmbeddedPairs
) -> Float[np.ndarray, ' P']:
  """Cosines of the pairs, from raw features."""
  unit = _normalized(features)
  return np.concatenate(
    [
      np.einsum(
        'pd,pd->p',
        unit[pairs.index_a[start : start + _BLOCK]],
        unit[pairs.index_b[start : start + _BLOCK]],
      )
      for start in range(0, len(pairs.same), _BLOCK)
    ]
  )


Arrays = Float[np.ndarray, 'N D'] | None
Mean = Float[np.ndarray, ' D'] | None
Features = Float[np.ndarray, 'N _']


def _plain(plain: Arrays, flip: Arrays, mean: Mean) -> Features:
  """The image alone."""
  del flip, mean
  return plain


def _centred(plain: Arrays, flip: Arrays, mean: Mean) -> Features:
  """The image alone, less the mean of *training* faces."""
  del flip
  return plain - mean


def _mirror_sum(plain: Arrays, flip: Arrays, mean: Mean) -> Features:
  """The sum of the image and its mirror image."""
  del mean
  return plain + flip


def _mirror_pair(plain: Arrays, flip: Arrays, mean: Mean) -> Features:
  """The image and its mirror image beside each other."""
  del mean
  return np.concatenate([plain, flip], axis=1)


def _cosine_scores(mode: str, pairs: EmbeddedPairs) -> Float[np.ndarray, ' P']:
  """Cosine of the features of a mode."""
  return _cosine(
    MODES[mode].features(pairs.plain, pairs.flip, pairs.training_mean), pairs
  )


def _insightface_scores(pairs: EmbeddedPairs) -> Float[np.ndarray, ' P']:
  """Minus the squared distance of the normalised sums with the mirror."""
  return 2 * _cosine_scores('insightface', pairs) - 2


def _sphereface_scores(pairs: EmbeddedPairs) -> Float[np.ndarray, 'F P']:
  """Cosine of [image, mirror] minus the mean over the other folds' pairs."""
  features = _mirror_pair(pairs.plain, pairs.flip, None)
  scores = []
  for fold in range(pairs.folds.max() + 1):
    others = pairs.folds != fold
    # An image counts as often as the pairs show it, as in SphereFace's code.
    times = sum(
      np.bincount(index[others], minlength=len(features))
      for index in (pairs.index_a, pairs.index_b)
    )
    mean = times @ features / times.sum()
    scores.append(_cosine(features - mean, pairs))
  return np.stack(scores)


@dataclasses.dataclass(frozen=True)
class Mode:
  """How embeddings become scores, and how a threshold is chosen.

  Attributes:
    features: raw embeddings (plain, flip, training_mean) to raw features.
    scores: pairs to scores [P], or [F, P] where each fold has its own.
    thresholds: float [T], candidate scores in the order of preference.
    choice: 'first' or 'mean' of the best candidates.
    measure: what the thresholds of a report are: 'cosine', accepted above, or
      'squared_distance', accepted below.
    needs_flip: whether the mirrored images are needed.
    transductive: whether the test set itself shapes the features.
    rate_thresholds: float [T], falling, candidates for the TAR that the mode
      reports fold by fold; None where it reports none.
  """

  features: Callable[[Arrays, Arrays, Mean], Features]
  scores: Callable[[EmbeddedPairs], Float[np.ndarray, '...']]
  thresholds: Float[np.ndarray, ' T']
  choice: str
  measure: str = 'cosine'
  needs_flip: bool = False
  transductive: bool = False
  rate_thresholds: Float[np.ndarray, ' T2'] | None = None


_COSINES = np.arange(-10_000, 10_001) / 10_000
MODES = {
  'insightface': Mode(
    _mirror_sum,
    _insightface_scores,
    -np.arange(0, 4, 0.01),
    'first',
    rate_thresholds=-np.arange(0, 4, 0.001),
    measure='squared_distance',
    needs_flip=True,
  ),
  'sphereface': Mode(
    _mirror_pair,
    _sphereface_scores,
    _COSINES,
    'mean',
    needs_flip=True,
    transductive=True,
  ),
  'plain': Mode(
    _plain, functools.partial(_cosine_scores, 'plain'), _COSINES, 'mean'
  ),
  'centred': Mode(
    _centred, functools.partial(_cosine_scores, 'centred'), _COSINES, 'mean'
  ),
}


def check_mode(mode: str, *, has_flip: bool, has_mean: bool) -> None:
  """Refuses a mode that is unknown or lacks its input.

  Raises:
    UsageError: says what is missing.
  """
  if mode not in MODES:
    raise UsageError(f'mode {mode!r}: use one of {", ".join(MODES)}')
  if MODES[mode].needs_flip and not has_flip:
    raise UsageError(
      f'mode {mode} needs embeddings of the mirrored images: use mode plain'
    )
  if mode == 'centred' and not has_mean:
    raise UsageError(
      'mode centred needs the mean embedding of training faces, and this '
      'model or file has none: use mode plain'
    )


def check_embeddings(
  embeddings: Float[np.ndarray, 'N D'], names: Sequence[str] | None
) -> None:
  """Refuses embeddings or logits that are not finite, or with no finite norm.

  Raises:
    DataError: names the first image.
  """
  # A NaN is not below anything.
  bad = np.flatnonzero(~(np.abs(embeddings) < _LARGEST).all(axis=1))
  if len(bad):
    image = names[bad[0]] if names is not None else f'number {bad[0]}'
    others = f', nor are {len(bad) - 1} others' if len(bad) > 1 else ''
    raise DataError(
      f'the embedding of image {image} is not finite in float32{others}: the '
      'model or the saved embeddings are damaged'
    )


def unit_features(
  embeddings: Embeddings, mode: str
) -> Float[np.ndarray, 'N _']:
  """Features whose inner products are the scores of a mode.

  Protocols without folds use these. Mode sphereface then takes away the mean
  of all the images given, and stays transductive.

  Args:
    embeddings: raw embeddings of N images.
    mode: a name of MODES.

  Returns:
    float32 [N, D] (2 D in mode sphereface), unit norm; an embedding of zeros
    stays zero and is like nothing.

  Raises:
    DataError: an embedding is not finite; names the image.
    UsageError: the mode is unknown or lacks what it needs.
  """
  check_mode(
    mode,
    has_flip=embeddings.flip is not None,
    has_mean=embeddings.training_mean is not None,
  )
  rule = MODES[mode]
  flip = embeddings.flip if rule.needs_flip else None
  for given in (embeddings.plain, flip):
    if given is not None:
      check_embeddings(given, embeddings.names)
  plain, flip, mean = (
    None if x is None else np.asarray(x, np.float32)
    for x in (embeddings.plain, flip, embeddings.training_mean)
  )
  features = rule.features(plain, flip, mean)
  if rule.transductive:
    features = features - features.mean(axis=0)
  return _normalized(features)
