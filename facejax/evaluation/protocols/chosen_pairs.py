"""Which pair list a protocol measures, and whether it is the published one."""

from facejax import files
from facejax.data.protocols import PairList
from facejax.errors import UsageError
from facejax.evaluation.protocols.pair_sets import PAIR_SETS
from facejax.evaluation.sources import EmbeddingSource


def find_pairs(
  protocol: str, source: EmbeddingSource, pairs: files.PathLike | None
) -> tuple[PairList, str]:
  """The pair list of a protocol, and where it stands.

  Args:
    protocol: a name of PAIR_SETS.
    source: may bring its own pairs, or have a list beside its data.
    pairs: the list, if one was given.

  Raises:
    DataError: the list cannot be used.
    UsageError: there is none, or there are two.
  """
  own = source.pair_list()
  if own is not None:
    place = source.describe()['data']
    if pairs is not None:
      raise UsageError(
        f'{place} holds its own {len(own.same)} pairs, and its images '
        f'have no names that {pairs} could mean: leave --pairs out'
      )
    return own, place
  pair_set = PAIR_SETS[protocol]
  if pairs is None:
    pairs = pair_set.find(source)
  if pairs is None:
    usual = ' or '.join(pair_set.usual_names)
    beside = f' (no {usual} stands beside the data)' if usual else ''
    raise UsageError(
      f'protocol {protocol} needs a pair list: give it with --pairs{beside}'
    )
  return pair_set.read(pairs), str(pairs)


def published(protocol: str, pairs: PairList) -> dict[str, bool | str | None]:
  """JSON values: whether the list is the published one, and its name.

  A line on stderr says what it lacks of that.
  """
  pair_set = PAIR_SETS[protocol]
  difference = pair_set.difference(pairs)
  if difference is not None:
    files.note(f'protocol {protocol}: {difference}')
  name = pair_set.published_name(pairs)
  return {'official': name is not None, 'set': name}
