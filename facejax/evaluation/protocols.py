"""Protocols by name: embeddings in, a report out."""

from collections.abc import Callable
from typing import Any

from facejax.data import protocols as pair_lists
from facejax.errors import UsageError
from facejax.evaluation import plots, verification
from facejax.evaluation.modes import MODES, check_mode
from facejax.evaluation.reports import Report
from facejax.evaluation.sources import (
  Embeddings,
  EmbeddingSource,
  ModelSource,
)
from facejax.files import PathLike

ALL_MODES = 'all'


def _modes(mode: str, source: EmbeddingSource) -> dict[str, str | None]:
  """The modes to run, each with the reason why it cannot be (None: it can)."""
  if mode != ALL_MODES:
    return {mode: None}
  reasons = dict.fromkeys(MODES)
  if not source.has_flip:
    for name, rule in MODES.items():
      if rule.needs_flip:
        reasons[name] = 'no embeddings of the mirrored images'
  if source.training_mean is None:
    reasons['centred'] = 'no mean embedding of training faces'
  return reasons


def verify(
  source: EmbeddingSource, pairs: pair_lists.PairList, *, mode: str
) -> tuple[dict[str, verification.Verification], dict[str, str], Embeddings]:
  """Verifies a pair list in one mode or in all, from one embedding pass.

  Args:
    source: gives the embeddings of the images.
    pairs: the pair list.
    mode: a name of `modes.MODES`, or 'all'.

  Returns:
    Results by mode; why a mode of 'all' was left out, by mode; the
    embeddings.

  Raises:
    DataError: an image is missing or unreadable, an embedding is not finite,
      or the list has pairs of one kind only.
    UsageError: the mode is unknown or lacks what it needs.
  """
  reasons = _modes(mode, source)
  skipped = {name: why for name, why in reasons.items() if why}
  names = [name for name in reasons if name not in skipped]
  for name in names:
    check_mode(
      name,
      has_flip=source.has_flip,
      has_mean=source.training_mean is not None,
    )
  verification.check_pairs(pairs.same, pairs.folds)
  images = pairs.images()
  embeddings = source.embed(
    images, flip=any(MODES[name].needs_flip for name in names)
  )
  index_a, index_b = pairs.index(images)
  results = {
    name: verification.verify_pairs(
      embeddings.plain,
      embeddings.flip,
      index_a,
      index_b,
      pairs.same,
      pairs.folds,
      mode=name,
      training_mean=embeddings.training_mean,
      names=images,
    )
    for name in names
  }
  return results, skipped, embeddings


def _verification_report(
  results: dict[str, verification.Verification],
  skipped: dict[str, str],
  common: dict[str, Any],
  *,
  mode: str,
  title: str,
) -> Report:
  """JSON and pictures of one mode, or of all side by side."""
  figures = {'roc.png': plots.render(plots.roc_figure(results, title=title))}
  for name, result in results.items():
    stem = 'histogram' if mode != ALL_MODES else f'histogram_{name}'
    figure = plots.histogram_figure(result, title=f'{title}, {name}')
    figures[f'{stem}.png'] = plots.render(figure)
  if mode != ALL_MODES:
    return Report(common | results[mode].to_json(), figures)
  modes = {name: result.to_json() for name, result in results.items()}
  return Report(
    common | {'mode': mode, 'modes': modes, 'skipped': skipped}, figures
  )


Reader = Callable[[PathLike], pair_lists.PairList]
# Each reads its list; '--pairs' may be left out where a list of the usual
# name stands beside the data.
PROTOCOLS: dict[str, tuple[Reader, str | None]] = {
  'lfw': (pair_lists.read_lfw_pairs, 'lfw_pairs.txt'),
  'pairs': (pair_lists.read_pairs, None),
}


def _find_pairs(
  protocol: str, source: EmbeddingSource, pairs: PathLike | None
) -> tuple[pair_lists.PairList, str]:
  """The pair list of a protocol, and where it stands."""
  own = source.pair_list() if isinstance(source, ModelSource) else None
  if own is not None:
    if pairs is not None:
      raise UsageError(
        f'{source.data} holds its own {len(own.same)} pairs, and its images '
        f'have no names that {pairs} could mean: leave --pairs out'
      )
    return own, str(source.data)
  read, usual_name = PROTOCOLS[protocol]
  if pairs is None and usual_name is not None:
    pairs = source.beside(usual_name)
  if pairs is None:
    raise UsageError(
      f'protocol {protocol} needs a pair list: give it with --pairs'
    )
  return read(pairs), str(pairs)


def evaluate(
  protocol: str,
  source: EmbeddingSource,
  *,
  pairs: PathLike | None = None,
  mode: str = 'insightface',
  save_embeddings: PathLike | None = None,
) -> Report:
  """Runs a protocol.

  Args:
    protocol: a name of PROTOCOLS. 'lfw' takes the lists of View 2 and View 1.
    source: gives the embeddings of the images that the list names.
    pairs: the pair list; for 'lfw' the lfw_pairs.txt beside the data. None
      for a `.bin`, which has its own.
    mode: a name of `modes.MODES`, or 'all'.
    save_embeddings: an .npz to write for `SavedSource`, or None.

  Returns:
    Result and pictures, not yet written.

  Raises:
    DataError: the list, an image or an embedding cannot be used.
    UsageError: the protocol or mode is unknown or lacks what it needs.
  """
  if protocol not in PROTOCOLS:
    raise UsageError(f'protocol {protocol!r}: use {" or ".join(PROTOCOLS)}')
  pair_list, place = _find_pairs(protocol, source, pairs)
  results, skipped, embeddings = verify(source, pair_list, mode=mode)
  if save_embeddings is not None:
    embeddings.save(save_embeddings)
  common = {
    'protocol': protocol,
    'pairs': place,
    'num_pairs': len(pair_list.same),
    'num_images': len(embeddings.names),
    **source.describe(),
  }
  title = f'{protocol}: {len(pair_list.same):,} pairs'
  return _verification_report(results, skipped, common, mode=mode, title=title)
