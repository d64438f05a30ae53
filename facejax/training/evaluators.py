"""Evaluators of a run: what is measured, on what, and how often."""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from facejax.data.synthetic import SyntheticFaces
from facejax.errors import DataError, UsageError
from facejax.evaluation.evaluators import PairEvaluator
from facejax.evaluation.held_out_identification import (
  IdentificationEvaluator,
  Outputs,
)


@dataclasses.dataclass(frozen=True)
class ScheduledEvaluator:
  """An evaluator with its name and period.

  Attributes:
    name: prefix of its metrics.
    evaluator: what measures.
    every_steps: period; 0 evaluates at the end alone.
  """

  name: str
  evaluator: PairEvaluator | IdentificationEvaluator
  every_steps: int

  def due(self, steps_done: int) -> bool:
    """Whether it runs after this many steps."""
    return self.every_steps > 0 and steps_done % self.every_steps == 0

  def run(self, outputs: Outputs) -> dict[str, float]:
    """'evaluation/NAME/METRIC' -> value, of a net's outputs for images."""
    if isinstance(self.evaluator, PairEvaluator):
      measured = self.evaluator.run(lambda images: outputs(images).embedding)
    else:
      measured = self.evaluator.run(outputs)
    return {
      f'evaluation/{self.name}/{metric}': value
      for metric, value in measured.items()
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


_KINDS = {
  'pairs': PairEvaluator,
  'synthetic': _make_synthetic,
  'identification': IdentificationEvaluator,
}


def _check_held_out(
  name: str, evaluator: IdentificationEvaluator, trained_on: Iterable[str]
) -> None:
  """Raises DataError if people of the training are to be held out."""
  shared = set(evaluator.identities).intersection(trained_on)
  if shared:
    raise DataError(
      f'evaluators.{name}: {min(shared)} and {len(shared) - 1} more are '
      'training people: hold out people who take no part in training'
    )


def make_evaluators(
  evaluators: Mapping[str, Mapping[str, Any]],
  *,
  trained_on: Iterable[str] = (),
) -> list[ScheduledEvaluator]:
  """Builds the evaluators of a config; their images are read here, once.

  Args:
    evaluators: name -> {kind, every_steps, and the fields of the kind}:
      'pairs' takes data, pairs and mode; 'synthetic' num_identities,
      images_per_identity, seed, first_identity and num_pairs;
      'identification' data, max_probes and scale.
    trained_on: names of the people of the training, whom identification must
      not measure.

  Raises:
    UsageError: an unknown kind or field; DataError: images or a list that
      cannot be read, or held-out people who are trained on.
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
    if isinstance(evaluator, IdentificationEvaluator):
      _check_held_out(name, evaluator, trained_on)
    scheduled.append(ScheduledEvaluator(name, evaluator, every))
  return scheduled
