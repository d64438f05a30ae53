"""Evaluators of a run: what is measured, on what, and how often."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from facejax.data.synthetic import SyntheticFaces
from facejax.errors import UsageError
from facejax.evaluation.crops import Embed
from facejax.evaluation.evaluators import PairEvaluator


@dataclasses.dataclass(frozen=True)
class ScheduledEvaluator:
  """A pair evaluator with its name and period.

  Attributes:
    name: prefix of its metrics.
    evaluator: what measures.
    every_steps: period; 0 evaluates at the end alone.
  """

  name: str
  evaluator: PairEvaluator
  every_steps: int

  def due(self, steps_done: int) -> bool:
    """Whether it runs after this many steps."""
    return self.every_steps > 0 and steps_done % self.every_steps == 0

  def run(self, embed: Embed) -> dict[str, float]:
    """'evaluation/NAME/METRIC' -> value."""
    return {
      f'evaluation/{self.name}/{metric}': value
      for metric, value in self.evaluator.run(embed).items()
    }


def _make_synthetic(
  *,
  num_identities: int,
  images_per_identity: int,
  seed: int,
  first_identity: int,
  num_pairs: int,
  mode: str = 'insightface',
) -> PairEvaluator:
  """Random pairs of synthetic people from `first_identity` on."""
  faces = SyntheticFaces(
    num_identities,
    images_per_identity,
    seed=seed,
    first_identity=first_identity,
  )
  return PairEvaluator.from_faces(
    faces, num_pairs=num_pairs, seed=seed, mode=mode
  )


_KINDS = {'pairs': PairEvaluator, 'synthetic': _make_synthetic}


def make_evaluators(
  evaluators: Mapping[str, Mapping[str, Any]],
) -> list[ScheduledEvaluator]:
  """Builds the evaluators of a config; their images are read here, once.

  Args:
    evaluators: name -> {kind, every_steps, and the fields of the kind}:
      'pairs' takes data, pairs and mode; 'synthetic' num_identities,
      images_per_identity, seed, first_identity and num_pairs.

  Raises:
    UsageError: an unknown kind or field; DataError: images or a list that
      cannot be read.
  """
  scheduled = []
  for name, given in evaluators.items():
    fields = dict(given)
    kind, every = fields.pop('kind', None), fields.pop('every_steps', 0)
    if kind not in _KINDS:
      raise UsageError(
        f'evaluators.{name}.kind={kind!r}: use {" or ".join(_KINDS)}'
      )
    if every < 0:
      raise UsageError(
        f'evaluators.{name}.every_steps={every}: use 0 (at the end) or more'
      )
    try:
      inspect.signature(_KINDS[kind]).bind(**fields)
    except TypeError as error:
      raise UsageError(f'evaluators.{name} ({kind}): {error}') from None
    evaluator = _KINDS[kind](**fields)
    scheduled.append(ScheduledEvaluator(name, evaluator, every))
  return scheduled
