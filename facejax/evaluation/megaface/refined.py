"""The refined lists of MegaFace, "(R)": noise replaced or taken out.

Both rules put the centre of a person's other images in the place of a probe
that shows somebody else, and see to it that a distractor that is no distractor
is never the best.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError, UsageError
from facejax.evaluation.megaface.distractors import Distractors

INSIGHTFACE, FACEX_ZOO = 'insightface', 'facex_zoo'
RULES = (INSIGHTFACE, FACEX_ZOO)
FAR_AWAY = 100.0  # what InsightFace gives noise in a further dimension
_SPREAD, _SEED = 1e-3, 0


def check_rule(rule: str) -> None:
  """Refuses an unknown rule.

  Raises:
    UsageError: names the rules.
  """
  if rule not in RULES:
    raise UsageError(f'refined_rule {rule!r}: use {" or ".join(RULES)}')


def refine_probes(
  features: Float[np.ndarray, 'Q D'],
  labels: Int[np.ndarray, ' Q'],
  noise: Bool[np.ndarray, ' Q'],
  *,
  rule: str,
  names: Sequence[str],
) -> Float[np.ndarray, 'Q D']:
  """Puts the person's centre in the place of probes that are noise.

  The centre is the sum of the person's other features, normalised. Rule
  'insightface' first adds U(-0.001, 0.001) to every value of the sum, so that
  two replaced images of one person are not quite the same; here the draws are
  those of seed 0.

  Args:
    features: float32 [Q, D], unit norm.
    labels: int [Q], the person of every probe.
    noise: bool [Q], which probes are replaced.
    rule: 'insightface' or 'facex_zoo'.
    names: of the probes, for errors.

  Returns:
    float32 [Q, D], a copy.

  Raises:
    DataError: all images of a person are noise.
    UsageError: the rule is unknown.

  References:
    InsightFace, recognition/_evaluation_/megaface/remove_noises.py;
    FaceX-Zoo, test_protocol/remove_noises.py.
  """
  check_rule(rule)
  refined = features.copy()
  rng = np.random.default_rng(_SEED)
  for probe in np.flatnonzero(noise):
    others = (labels == labels[probe]) & ~noise
    if not others.any():
      raise DataError(
        f'all images of the person of {names[probe]} are in the noise list: '
        'nothing can stand for them'
      )
    centre = features[others].sum(0)
    if rule == INSIGHTFACE:
      centre = centre + rng.uniform(-_SPREAD, _SPREAD, len(centre))
    refined[probe] = centre / np.linalg.norm(centre)
  return refined


def refine_distractors(
  distractors: Distractors, noise: Bool[np.ndarray, ' M'], *, rule: str
) -> Distractors:
  """Takes noise out of the distractors, which stay as many.

  Rule 'insightface' gives noise 100 in a further dimension, in which all else
  is 0: by distance, as the devkit compares, nothing is less alike, so those
  are never accepted and never named first. Rule 'facex_zoo' makes them zero
  vectors, whose scores are 0.

  Args:
    distractors: M images.
    noise: bool [M].
    rule: 'insightface' or 'facex_zoo'.

  Raises:
    DataError: all distractors are noise.
    UsageError: the rule is unknown.
  """
  check_rule(rule)
  if noise.all():
    raise DataError('all distractors are in the noise list: none is left')
  return dataclasses.replace(
    distractors, noise=noise, noise_is_zero=rule == FACEX_ZOO
  )
