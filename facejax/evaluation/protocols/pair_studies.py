"""What may be asked of a pair list beside its rates: groups, and damage."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from facejax.data.attributes import Attributes, read_attributes
from facejax.data.protocols import PairList
from facejax.errors import UsageError
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.modes import MODES
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.studies.attributes import rates_by_attribute
from facejax.evaluation.studies.damaged_probes import (
  check_damageable,
  choose_kinds,
)
from facejax.evaluation.studies.robustness import (
  NUM_PAIRS,
  check_mode_fixed,
  measure_robustness,
)
from facejax.evaluation.studies.robustness_result import Robustness
from facejax.evaluation.verification_result import Verification
from facejax.files import PathLike

OPTIONS = frozenset(
  {
    'attributes',
    'attribute_columns',
    'robustness',
    'robustness_pairs',
    'seed',
  }
)


@dataclasses.dataclass(frozen=True)
class PairStudies:
  """What is studied of a pair list.

  Attributes:
    attributes: of its images or people, or None.
    kinds: of damage to the second image of a pair; none: no such study.
    num_pairs: that are damaged.
    seed: of the places of squares.
  """

  attributes: Attributes | None = None
  kinds: tuple[str, ...] = ()
  num_pairs: int = NUM_PAIRS
  seed: int = 0

  def check(
    self, source: EmbeddingSource, pairs: PairList, *, mode: str
  ) -> None:
    """Refuses what cannot be studied, before any embedding.

    Args:
      source: gives the embeddings.
      pairs: the list.
      mode: a name of MODES, or 'all'.

    Raises:
      DataError: the attributes speak of other images.
      UsageError: there is no model whose images could be damaged, or the mode
        is transductive.
    """
    if self.attributes is not None:
      self.attributes.check(pairs.images())
    if self.kinds:
      check_damageable(source)
      if mode in MODES:
        check_mode_fixed(mode)

  def of_groups(self, result: Verification, pairs: PairList) -> dict[str, Any]:
    """JSON values of a mode: `attributes`, if there are some."""
    if self.attributes is None:
      return {}
    return {'attributes': rates_by_attribute(result, pairs, self.attributes)}

  def of_table(self, pairs: PairList) -> dict[str, Any]:
    """JSON values: what the table of attributes is, and how much was used."""
    if self.attributes is None:
      return {}
    return {
      'attribute_table': {
        'path': self.attributes.path,
        'num_names': len(self.attributes.names),
        'num_names_used': self.attributes.num_used(pairs.images()),
      }
    }

  def of_damage(
    self,
    source: EmbeddingSource,
    pairs: PairList,
    results: Mapping[str, Verification],
    embeddings: Embeddings,
  ) -> Robustness | None:
    """Rates under damage, in the first mode that is not transductive.

    Args:
      source: a model and its images.
      pairs: the list.
      results: by mode, without damage.
      embeddings: of the undamaged images.
    """
    if not self.kinds:
      return None
    modes = (name for name in results if not MODES[name].transductive)
    return measure_robustness(
      source,
      pairs,
      results[next(modes)],
      embeddings,
      kinds=self.kinds,
      num_pairs=self.num_pairs,
      seed=self.seed,
    )


def read_studies(
  *,
  attributes: PathLike | None = None,
  attribute_columns: str | Sequence[str] | None = None,
  robustness: str | Sequence[str] | None = None,
  robustness_pairs: int | None = None,
  seed: int | None = None,
) -> PairStudies:
  """Reads the options of a pair list.

  Args:
    attributes: table of attributes, of `read_attributes`.
    attribute_columns: its columns to study, all of them by default.
    robustness: 'all', or kinds of damage.
    robustness_pairs: pairs that are damaged, 1,000 by default: the first of
      each kind in every fold.
    seed: of the places of squares, 0 by default.

  Raises:
    DataError: the table cannot be used.
    UsageError: a column or a kind is unknown, a number out of range, or an
      option means nothing without another.
  """
  if attribute_columns is not None and attributes is None:
    raise UsageError('--attribute_columns needs a table: give --attributes')
  numbers = {'robustness_pairs': (robustness_pairs, 2), 'seed': (seed, 0)}
  for name, (value, least) in numbers.items():
    if value is not None and robustness is None:
      raise UsageError(f'--{name} is for damaged images: give --robustness')
    if value is not None and value < least:
      raise UsageError(f'--{name}={value}: give {least} or more')
  if isinstance(attribute_columns, str):
    attribute_columns = [x.strip() for x in attribute_columns.split(',')]
  table = None
  if attributes is not None:
    table = read_attributes(attributes, columns=attribute_columns)
  return PairStudies(
    attributes=table,
    kinds=() if robustness is None else choose_kinds(robustness),
    num_pairs=NUM_PAIRS if robustness_pairs is None else robustness_pairs,
    seed=seed or 0,
  )
