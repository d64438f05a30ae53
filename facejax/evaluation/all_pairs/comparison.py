"""Two models on all pairs of the same images, on the same draws of people."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax.array_typing import Float
from facejax.errors import UsageError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import people_bootstrap

DRAWS = 1000


def measurements(
  pairs: people_bootstrap.PairSet,
  fars: Float[np.ndarray, ' F'],
  thresholds: Float[np.ndarray, ' F'],
  *,
  images: str,
) -> dict[str, np.ndarray]:
  """The arrays that `compare` takes, for a report.

  Args:
    pairs: the scores.
    fars: false-accept rates of the report.
    thresholds: at these rates.
    images: a digest of the names of the images, in order.
  """
  return {
    'images': np.array(images),
    'fars': fars,
    'thresholds': thresholds,
    **{
      field: getattr(pairs, field)
      for field in people_bootstrap.PairSet.__dataclass_fields__
    },
  }


def _pair_set(report: Mapping[str, np.ndarray]) -> people_bootstrap.PairSet:
  """The scores of a report."""
  fields = people_bootstrap.PairSet.__dataclass_fields__
  return people_bootstrap.PairSet(**{field: report[field] for field in fields})


def compare(
  first: Mapping[str, np.ndarray],
  second: Mapping[str, np.ndarray],
  *,
  draws: int = DRAWS,
  seed: int = 0,
) -> dict[str, Any]:
  """Differences of two models that the people of the set do not explain.

  Both are measured on the same draws of people, so what a draw does to both
  alike cancels.

  Args:
    first: measurements of a report of one model.
    second: those of the other.
    draws: of people.
    seed: of the draws.

  Returns:
    JSON values by false-accept rate: the TAR of the first minus that of the
    second, its 95 % interval, and the share of draws in which it is above 0;
    None for both where a draw cannot tell.

  Raises:
    UsageError: the reports are about different images, or have no rate in
      common.
  """
  if first['images'] != second['images']:
    raise UsageError(
      'the two reports are about different images: evaluate both models on '
      'the same data'
    )
  fars = np.intersect1d(first['fars'], second['fars'])[::-1]
  if not len(fars):
    raise UsageError(
      'the two reports have no false-accept rate in common: evaluate both '
      'models with the same --far'
    )
  whole, drawn = [], []
  for report in (first, second):
    place = [int(np.flatnonzero(report['fars'] == far)[0]) for far in fars]
    thresholds = report['thresholds'][place]
    pairs = _pair_set(report)
    above = pairs.genuine_scores[:, None] > thresholds[None, :]
    whole.append(above.mean(axis=0))
    drawn.append(
      people_bootstrap.resample(
        pairs, fars, thresholds, draws=draws, seed=seed
      ).tar
    )
  differences = drawn[0] - drawn[1]
  intervals = people_bootstrap.interval(differences)
  shares = (differences > 0).mean(axis=0)
  return {
    rates.far_name(far): {
      'difference': float(whole[0][column] - whole[1][column]),
      'interval_95': intervals[column],
      'share_above_0': None
      if intervals[column] is None
      else float(shares[column]),
    }
    for column, far in enumerate(fars)
  }
