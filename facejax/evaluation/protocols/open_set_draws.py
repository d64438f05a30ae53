"""Open-set rates over several drawn splits."""

from collections.abc import Sequence
from typing import Any

from facejax.evaluation.identification.open_set import OpenSetResult
from facejax.evaluation.protocols.splits import over_draws
from facejax.evaluation.rates import far_name


def average_draws(
  found: Sequence[OpenSetResult], *, seed: int | None
) -> dict[str, Any]:
  """Mean and sample deviation of the rates of the draws, as JSON values.

  Args:
    found: a result for each draw, of the same rates.
    seed: of the draws; None is 0.
  """
  points = {
    far_name(far): [result.points[far] for result in found]
    for far in found[0].points
  }
  rates = {key: [point.dir for point in of] for key, of in points.items()}
  rank1, rank1_std = over_draws([result.rank1 for result in found])
  first = found[0].to_json()
  return {
    'dir_at_far': {key: over_draws(of)[0] for key, of in rates.items()},
    'dir_std': {key: over_draws(of)[1] for key, of in rates.items()},
    'dir_of_draws': rates,
    'thresholds': {
      key: over_draws([point.threshold for point in of])[0]
      for key, of in points.items()
    },
    'far_rule': first['far_rule'],
    'smallest_far': first['smallest_far'],
    'rank1': rank1,
    'rank1_std': rank1_std,
    'num_draws': len(found),
    'seed': seed or 0,
    **{key: value for key, value in first.items() if key.startswith('num_')},
  }
