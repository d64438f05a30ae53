"""Training in rounds: smaller rates, stronger decay, from the best so far.

The schedule of Zeng et al. 2019 (spec 7.1):

  round 0    rate r, decay w, falling to zero along a line, until overfitting
  round 1    rate 0.1 r, decay 2 w
  round k    half the rate of round k - 1, twice its decay

Each starts from the best checkpoint of all rounds before. After a round that
improves on them by less than a least improvement there is no other.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from facejax import files
from facejax.errors import CheckpointError, DataError
from facejax.files import Path

FILE = 'rounds.json'

CONVERGED = 'converged'
MAX_ROUNDS = 'max_rounds'
OVERFITTING = 'overfitting'
TOTAL_STEPS = 'total_steps'


@dataclasses.dataclass(frozen=True)
class RoundSettings:
  """How rounds follow each other.

  Attributes:
    max_rounds: most rounds, the first one included.
    min_improvement: least gain of a round that is followed by another.
    metric: what is compared, such as 'evaluation/people/rank1'.
    best_is: 'max' or 'min'.
    rate_factors: of round 1, 2, ... by the round before; the last one stands
      for all that follow.
    decay_factor: of every round by the round before.
  """

  max_rounds: int
  min_improvement: float
  metric: str
  best_is: str = 'max'
  rate_factors: tuple[float, ...] = (0.1, 0.5)
  decay_factor: float = 2.0

  def rate_factor(self, number: int) -> float:
    """Learning rate of a round, of that of round 0."""
    last = len(self.rate_factors) - 1
    factors = (self.rate_factors[min(k, last)] for k in range(number))
    return math.prod(factors, start=1.0)

  def weight_decay_factor(self, number: int) -> float:
    """Weight decay of a round, of that of round 0."""
    return float(self.decay_factor**number)


@dataclasses.dataclass(frozen=True)
class RoundRecord:
  """A round that has ended; all of it is JSON.

  Attributes:
    round: its number, from 0.
    from_round: the round whose best checkpoint it began with; None for the
      first.
    learning_rate: its highest rate.
    weight_decay: [regex, rate] of every rule.
    steps: that it took.
    stopped: 'overfitting' or 'total_steps'.
    best_step: where the metric was best.
    metric: its value there.
    evaluation: of all evaluators there, by name, if it was the best round so
      far; {} otherwise.
  """

  round: int
  from_round: int | None
  learning_rate: float
  weight_decay: list[list[Any]]
  steps: int
  stopped: str
  best_step: int
  metric: float
  evaluation: dict[str, float | None]

  def to_json(self) -> dict[str, Any]:
    """The fields by name."""
    return dataclasses.asdict(self)


def best_round(
  records: Sequence[RoundRecord], best_is: str
) -> RoundRecord | None:
  """The round with the best checkpoint, the newest of equal ones."""
  sign = 1 if best_is == 'max' else -1
  return max(records, key=lambda r: (sign * r.metric, r.round), default=None)


def improvement(records: Sequence[RoundRecord], best_is: str) -> float | None:
  """By how much the last round is better than the best before; None if first.

  Negative if it is worse.
  """
  before = best_round(records[:-1], best_is)
  if before is None:
    return None
  gain = records[-1].metric - before.metric
  return gain if best_is == 'max' else -gain


def why_over(
  records: Sequence[RoundRecord], settings: RoundSettings
) -> str | None:
  """'converged' or 'max_rounds' if no round follows these, else None."""
  gain = improvement(records, settings.best_is) if records else None
  if gain is not None and gain < settings.min_improvement:
    return CONVERGED
  return MAX_ROUNDS if len(records) >= settings.max_rounds else None


def round_folder(workdir: Path, number: int) -> Path:
  """Where a round is trained."""
  return workdir / f'round_{number}'


def read_records(workdir: Path) -> list[RoundRecord]:
  """The rounds of a workdir that have ended, in their order.

  Raises:
    CheckpointError: the file is damaged.
  """
  path = workdir / FILE
  if not path.exists():
    return []
  try:
    records = [RoundRecord(**record) for record in files.read_json(path)]
  except (DataError, TypeError) as error:
    raise CheckpointError(
      f'{path} cannot be read ({error}): restore it from a copy'
    ) from None
  if [record.round for record in records] != list(range(len(records))):
    raise CheckpointError(
      f'{path} does not hold rounds 0, 1, ...: restore it from a copy'
    )
  return records


def write_records(workdir: Path, records: Sequence[RoundRecord]) -> None:
  """Writes the rounds that have ended, all or none."""
  files.write_json(workdir / FILE, [record.to_json() for record in records])
