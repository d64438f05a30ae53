"""Closed-set identification on LFW, or on a user's lists."""

from typing import Any

from facejax.data.identification_splits import first_images
from facejax.evaluation.identification.closed_set import (
  ClosedSetResult,
  closed_set,
)
from facejax.evaluation.protocols.identification_report import (
  check_timing,
  identification_report,
)
from facejax.evaluation.protocols.labelled_faces import (
  LabelledFaces,
  read_faces,
)
from facejax.evaluation.protocols.splits import (
  FULL,
  LISTS,
  SURROGATE,
  choose_split,
  describe_split,
  draw_splits,
  is_all_of_lfw,
  over_draws,
)
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import PathLike

Found = tuple[ClosedSetResult, dict[str, Any]]


def _full(faces: LabelledFaces) -> Found:
  """The split that has no chance in it."""
  found = closed_set(faces.features, faces.labels, *first_images(faces.labels))
  official = is_all_of_lfw(
    'lfw_closed', found.num_identities, len(faces.names), len(found.probe_index)
  )
  return found, describe_split(FULL, official=official) | found.to_json()


def _surrogate(
  faces: LabelledFaces, *, seed: int | None, draws: int | None
) -> Found:
  """The first of some drawn splits, and the mean over them all."""
  found = [
    closed_set(faces.features, faces.labels, *draw.closed)
    for draw in draw_splits(faces.labels, seed=seed, draws=draws)
  ]
  rank1, std = over_draws([result.rank1 for result in found])
  cmc, cmc_std = over_draws([result.cmc for result in found])
  counts = found[0].to_json()
  return found[0], describe_split(SURROGATE) | {
    'rank1': rank1,
    'std': std,
    'rank1_of_draws': [result.rank1 for result in found],
    'cmc': cmc,
    'cmc_std': cmc_std,
    'num_draws': len(found),
    'seed': seed or 0,
    **{key: value for key, value in counts.items() if key.startswith('num_')},
  }


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  closed_split: str | None = None,
  draws: int | None = None,
  seed: int | None = None,
  gallery: PathLike | None = None,
  probes: PathLike | None = None,
  timing: bool = False,
) -> Report:
  """Looks every probe up in a gallery that holds its person.

  Args:
    source: gives the embeddings of IDENTITY/image files, LFW or another set.
    mode: a name of `modes.MODES`.
    closed_split: 'full' (the default) enrols everybody's first image and
      looks all others up. 'surrogate' draws splits with the counts of the
      published one: 4,249 people enrolled, 3,143 images of 596 of them looked
      up.
    draws: splits that the surrogate is averaged over, 20 by default.
    seed: of the draws, 0 by default.
    gallery: list of enrolled images, with `probes` instead of a split.
    probes: list of images to look up.
    timing: whether extraction and matching are timed.

  Returns:
    Rank-1 and CMC; curves and confused pairs are those of the first draw.

  Raises:
    DataError: a list, an image or an embedding cannot be used, or the images
      do not allow the split.
    UsageError: options contradict each other, or the mode is unknown or lacks
      what it needs.

  References:
    spec 13.2; Best-Rowden et al., Unconstrained Face Recognition, 2014.
  """
  split = choose_split(
    closed_split,
    FULL,
    gallery=gallery,
    probes=probes,
    draws=draws,
    seed=seed,
  )
  check_timing(source, timing)
  faces = read_faces(source, mode=mode, gallery=gallery, probes=probes)
  if faces.split is not None:
    found = closed_set(faces.features, faces.labels, *faces.split)
    lists = {'gallery': str(gallery), 'probes': str(probes)}
    result = describe_split(LISTS) | lists | found.to_json()
  elif split == FULL:
    found, result = _full(faces)
  else:
    found, result = _surrogate(faces, seed=seed, draws=draws)
  return identification_report(
    'lfw_closed', source, faces, found, result, mode=mode, timing=timing
  )
