"""How a hash layer is trained on finished embeddings."""

import dataclasses

from facejax.errors import UsageError

STARTS = ('itq', 'random')
_ABOVE_ZERO = ('steps', 'rounds', 'people', 'learning_rate', 'temperature')
_SHARES = ('shrinkage', 'averaging', 'held_out')


@dataclasses.dataclass(frozen=True)
class HashTraining:
  """Settings of `hash_training.train_hash`; plain values.

  Attributes:
    start: the layer to begin with, 'itq', fitted to the same people, or
      'random' hyperplanes. None takes ITQ for as many bits as it is defined
      for, D, and hyperplanes for more.
    steps: updates in all.
    rounds: parts of the training, after each of which the people held out
      judge the layer.
    people: P, drawn for a step, two images of each.
    learning_rate: of Adam at first; it falls to 0 along a cosine.
    temperature: t of `hash_ranking.ranking_loss`.
    asymmetric_weight: w of the same.
    shrinkage: of the covariance of people, see `hash_batches.make_batches`.
    averaging: decay of the average of the weights over the steps, which is
      what is kept.
    held_out: share of the people who judge, by Hamming distance, and do not
      train until the number of rounds is chosen.
    seed: of the start, the split and the batches.
  """

  start: str | None = None
  steps: int = 2500
  rounds: int = 5
  people: int = 512
  learning_rate: float = 3e-3
  temperature: float = 32.0
  asymmetric_weight: float = 1.0
  shrinkage: float = 0.5
  averaging: float = 0.995
  held_out: float = 0.3
  seed: int = 0

  def for_layer(self, size: int, num_bits: int) -> 'HashTraining':
    """The settings with the start that they take for a layer of D x L."""
    usual = 'itq' if num_bits <= size else 'random'
    return dataclasses.replace(self, start=self.start or usual)

  def check(self) -> None:
    """Raises UsageError for settings that mean nothing."""
    wrong = [name for name in _ABOVE_ZERO if not getattr(self, name) > 0]
    wrong += [name for name in _SHARES if not 0 <= getattr(self, name) < 1]
    if self.start not in (None, *STARTS):
      wrong.append('start')
    if not self.asymmetric_weight >= 0:
      wrong.append('asymmetric_weight')
    if self.rounds > self.steps:
      wrong.append('rounds')
    if wrong:
      raise UsageError(
        'hash training: out of range: '
        + ', '.join(f'{name}={getattr(self, name)}' for name in wrong)
      )
