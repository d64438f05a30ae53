"""Two-stage recognition on the closed set of LFW, or on a user's lists."""

from typing import Any

import numpy as np

from facejax.data.identification_splits import Split, first_images
from facejax.errors import DataError, UsageError
from facejax.evaluation.modes import MODES
from facejax.evaluation.protocols.identification_report import (
  check_timing,
  timed_crops,
)
from facejax.evaluation.protocols.labelled_faces import (
  LabelledFaces,
  read_faces,
)
from facejax.evaluation.protocols.protocol import Protocol
from facejax.evaluation.protocols.splits import (
  FULL,
  LISTS,
  SURROGATE,
  choose_split,
  draw_splits,
)
from facejax.evaluation.protocols.two_stage_report import (
  NAME,
  two_stage_report,
)
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.two_stage import search
from facejax.evaluation.two_stage.result import TwoStageResult
from facejax.evaluation.two_stage.timing import time_two_stage
from facejax.files import PathLike


def _splits(
  faces: LabelledFaces, split: str, *, seed: int | None, draws: int | None
) -> list[Split]:
  """Galleries and probes: one, or those of the draws."""
  if split == LISTS:
    return [faces.split]
  if split == FULL:
    return [first_images(faces.labels)]
  drawn = draw_splits(faces.labels, seed=seed, draws=draws)
  return [draw.closed for draw in drawn]


def _time(
  source: EmbeddingSource,
  faces: LabelledFaces,
  found: TwoStageResult,
  *,
  mode: str,
) -> dict[str, Any]:
  """Times one pass of the model and both stages on the protocol's images."""
  return time_two_stage(
    search.as_searched(
      faces.features,
      faces.logits,
      faces.labels,
      found.gallery_index,
      found.probe_index,
    ),
    candidates=found.candidates,
    extract=lambda images: source.model.embed_and_hash(images, normalize=False),
    crops=timed_crops(source, faces, found.probe_index),
    flip=MODES[mode].needs_flip,
  )


def _check(source: EmbeddingSource, timed: bool) -> None:
  """Refuses a source without codes, and timing without a model."""
  if not source.hash_bits:
    raise UsageError(
      f'protocol {NAME} needs hash logits, and {source.name} has none: add a '
      'hash layer to the model by python -m launch.add_hash, or give '
      'embeddings that were saved with one'
    )
  check_timing(source, timed)


def _check_directions(faces: LabelledFaces) -> None:
  """Refuses embeddings of zeros: no second stage could rank them.

  Raises:
    DataError: names the first image.
  """
  zero = np.flatnonzero(~faces.features.any(axis=1))
  if len(zero):
    raise DataError(
      f'the embedding of image {faces.names[zero[0]]} is zero, as are those of '
      f'{len(zero) - 1} others: they have no direction to be compared by'
    )


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  closed_split: str | None = None,
  draws: int | None = None,
  seed: int | None = None,
  gallery: PathLike | None = None,
  probes: PathLike | None = None,
  candidates: int | None = None,
  radius: int | None = None,
  timing: bool = False,
) -> Report:
  """Looks every probe up by floats, by codes, and by codes and then floats.

  Codes are those of the images as they are, in every mode; the mode makes the
  features that cosines are of.

  Args:
    source: gives embeddings and hash logits of IDENTITY/image files.
    mode: a name of `modes.MODES`.
    closed_split: 'full' (the default) or 'surrogate', as of `lfw_closed`.
    draws: splits that the surrogate is averaged over, 20 by default.
    seed: of the draws, 0 by default.
    gallery: list of enrolled images, with `probes` instead of a split.
    probes: list of images to look up.
    candidates: c of the main rates, 100 by default.
    radius: a Hamming distance: also takes all images within it as candidates.
    timing: whether one pass of the model and both stages are timed.

  Returns:
    Rank-1 of float search, of codes alone and of both stages over c; recall of
    the first stage; bit statistics, bytes.

  Raises:
    DataError: a list, an image, an embedding or a logit cannot be used.
    UsageError: the source has no hash logits, options contradict each other,
      or the mode is unknown or lacks what it needs.

  References:
    spec 5, 7.2, 13.2.
  """
  split = choose_split(
    closed_split, FULL, gallery=gallery, probes=probes, draws=draws, seed=seed
  )
  _check(source, timing)
  faces = read_faces(source, mode=mode, gallery=gallery, probes=probes)
  _check_directions(faces)
  wanted = search.DEFAULT_CANDIDATES if candidates is None else candidates
  found = [
    search.search_closed_set(
      faces.features,
      faces.logits,
      faces.labels,
      *each,
      candidates=wanted,
      radius=radius,
    )
    for each in _splits(faces, split, seed=seed, draws=draws)
  ]
  beside: dict[str, Any] = {}
  if split == LISTS:
    beside = {'gallery': str(gallery), 'probes': str(probes)}
  if split == SURROGATE:
    beside = {'num_draws': len(found), 'seed': seed or 0}
  if timing:
    beside['timing'] = _time(source, faces, found[0], mode=mode)
  return two_stage_report(source, faces, found, beside, mode=mode, split=split)


_OPTIONS = frozenset(
  {
    'candidates',
    'closed_split',
    'draws',
    'gallery',
    'probes',
    'radius',
    'save_embeddings',
    'seed',
    'timing',
  }
)
PROTOCOLS: dict[str, Protocol] = {
  NAME: Protocol(run, _OPTIONS, default_mode='plain')
}
