"""Open-set identification on LFW, or on a user's lists."""

from collections.abc import Sequence
from typing import Any

from facejax.evaluation.identification.open_set import OpenSetResult, open_set
from facejax.evaluation.protocols.identification_report import (
  check_timing,
  identification_report,
)
from facejax.evaluation.protocols.labelled_faces import (
  LabelledFaces,
  read_faces,
)
from facejax.evaluation.protocols.open_set_draws import average_draws
from facejax.evaluation.protocols.splits import (
  LISTS,
  SURROGATE,
  choose_split,
  describe_split,
  draw_splits,
)
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import PathLike


def _surrogate(
  faces: LabelledFaces,
  fars: Sequence[float | int] | None,
  *,
  seed: int | None,
  draws: int | None,
) -> tuple[OpenSetResult, dict[str, Any]]:
  """The first of some drawn splits, and the mean over them all."""
  found = [
    open_set(faces.features, faces.labels, *draw.open, fars=fars)
    for draw in draw_splits(faces.labels, seed=seed, draws=draws)
  ]
  return found[0], describe_split(SURROGATE) | average_draws(found, seed=seed)


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  draws: int | None = None,
  seed: int | None = None,
  gallery: PathLike | None = None,
  probes: PathLike | None = None,
  far: Sequence[float | int] | None = None,
  timing: bool = False,
) -> Report:
  """Looks probes up of whom most are not in the gallery.

  Without lists splits are drawn with the counts of the published one: 3,143
  images of 596 people enrolled; looked up are one more image of each and all
  9,494 images of all other people.

  Args:
    source: gives the embeddings of IDENTITY/image files, LFW or another set.
    mode: a name of `modes.MODES`.
    draws: splits that rates are averaged over, 20 by default.
    seed: of the draws, 0 by default.
    gallery: list of enrolled images, with `probes` instead of draws.
    probes: list of images to look up; those of people who are not in the
      gallery are impostors.
    far: false-alarm rates; by default the decades that the impostors resolve.
    timing: whether extraction and matching are timed.

  Returns:
    Detection and identification rates at rank 1; curves and confused pairs
    are those of the first draw.

  Raises:
    DataError: a list, an image or an embedding cannot be used, or the images
      do not allow the split.
    UsageError: options contradict each other, the impostors cannot resolve a
      rate, or the mode is unknown or lacks what it needs.

  References:
    spec 13.2; Best-Rowden et al., Unconstrained Face Recognition, 2014.
  """
  choose_split(
    None,
    SURROGATE,
    gallery=gallery,
    probes=probes,
    draws=draws,
    seed=seed,
  )
  check_timing(source, timing)
  faces = read_faces(source, mode=mode, gallery=gallery, probes=probes)
  if faces.split is None:
    found, result = _surrogate(faces, far, seed=seed, draws=draws)
  else:
    found = open_set(faces.features, faces.labels, *faces.split, fars=far)
    lists = {'gallery': str(gallery), 'probes': str(probes)}
    result = describe_split(LISTS) | lists | found.to_json()
  return identification_report(
    'lfw_open', source, faces, found, result, mode=mode, timing=timing
  )
