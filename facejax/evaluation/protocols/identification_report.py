"""What identification protocols report beside their rates."""

from typing import Any

import numpy as np

from facejax.array_typing import Float, Int, UInt8
from facejax.data.images import decode_image
from facejax.errors import UsageError
from facejax.evaluation.identification.closed_set import ClosedSetResult
from facejax.evaluation.identification.open_set import OpenSetResult
from facejax.evaluation.identification.timing import (
  NUM_IMAGES,
  time_identification,
)
from facejax.evaluation.modes import MODES
from facejax.evaluation.protocols.labelled_faces import LabelledFaces
from facejax.evaluation.protocols.protocol import common_result
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.reporting.labels import protocol_name
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource

NUM_CONFUSED = 12

Found = ClosedSetResult | OpenSetResult


def check_timing(source: EmbeddingSource, timing: bool) -> None:
  """Refuses to time what is not computed, before any work.

  Raises:
    UsageError: the source has no model.
  """
  if timing and getattr(source, 'model', None) is None:
    raise UsageError(
      '--timing needs a model and its images: saved embeddings were computed '
      'elsewhere, give --model and --data'
    )


def timed_crops(
  source: EmbeddingSource, faces: LabelledFaces, rows: Int[np.ndarray, ' Q']
) -> UInt8[np.ndarray, 'N 112 112 3']:
  """The first crops of some rows, as many as timing goes through."""
  names = [faces.names[row] for row in rows[:NUM_IMAGES]]
  pictures = source.pictures(names)
  crops = [
    decode_image(picture, name)
    for picture, name in zip(pictures, names, strict=True)
  ]
  return np.stack(crops)


def _time(
  source: EmbeddingSource, faces: LabelledFaces, found: Found, *, mode: str
) -> dict[str, Any]:
  """Times extraction and matching on the protocol's own images."""
  return time_identification(
    lambda images: source.model.embed(images, normalize=False),
    timed_crops(source, faces, found.probe_index),
    faces.features[found.gallery_index],
    faces.features[found.probe_index],
    flip=MODES[mode].needs_flip,
  )


def show_pairs(
  source: EmbeddingSource,
  faces: LabelledFaces,
  probes: Int[np.ndarray, ' P'],
  images: Int[np.ndarray, ' P'],
  scores: Float[np.ndarray, ' P'],
  *,
  num_impostors: int,
) -> list[ConfusedPair]:
  """Pairs of probes and enrolled images, with their pictures if there are any.

  Args:
    source: gives the pictures.
    faces: what was compared.
    probes: int [P], rows of the faces.
    images: int [P], rows of the faces.
    scores: of the pairs.
    num_impostors: pairs at the beginning that show two people.
  """
  first = [faces.names[row] for row in probes]
  second = [faces.names[row] for row in images]
  pictures = source.pictures(first + second) if first else None
  return [
    ConfusedPair(
      first=first[pair],
      second=second[pair],
      score=float(scores[pair]),
      genuine=pair >= num_impostors,
      pictures=pictures and (pictures[pair], pictures[pair + len(first)]),
    )
    for pair in range(len(first))
  ]


def _confused_pairs(
  source: EmbeddingSource, faces: LabelledFaces, found: Found
) -> list[ConfusedPair]:
  """Probes with whom they were taken for, then with the mates they missed."""
  wrong = found.wrong(NUM_CONFUSED)
  matches = found.matches
  missed = wrong[matches.ranks[wrong] > 0]
  probes = found.probe_index[np.concatenate([wrong, missed])]
  columns = np.concatenate(
    [matches.other_index[wrong], matches.mate_index[missed]]
  )
  scores = np.concatenate(
    [matches.other_scores[wrong], matches.mate_scores[missed]]
  )
  images = found.gallery_index[columns]
  return show_pairs(
    source, faces, probes, images, scores, num_impostors=len(wrong)
  )


def identification_report(
  protocol: str,
  source: EmbeddingSource,
  faces: LabelledFaces,
  found: Found,
  result: dict[str, Any],
  *,
  mode: str,
  timing: bool,
) -> Report:
  """A report of rates with curves, confused pairs and timing.

  Args:
    protocol: its name.
    source: gave the embeddings; gives pictures and, to time it, the model.
    faces: what was compared.
    found: what is drawn and shown; of several draws the first.
    result: JSON values of the rates.
    mode: a name of `modes.MODES`.
    timing: whether extraction and matching are timed.

  Returns:
    The report. Its confused pairs are the probes taken for somebody else, the
    worst first, and after them the same probes with the mates they missed. Its
    measurements say for each probe its `probes` name, `ranks`, `mate_scores`
    and `other_scores`.
  """
  result = {
    **common_result(protocol, source, mode=mode),
    'measure': 'cosine',
    'num_images': len(faces.names),
    **result,
  }
  if timing:
    result['timing'] = _time(source, faces, found, mode=mode)
  num_probes, num_gallery = len(found.probe_index), len(found.gallery_index)
  return Report(
    result,
    title=(
      f'{protocol_name(protocol)}, {result["split"]}: {num_probes:,} probes, '
      f'{num_gallery:,} enrolled images'
    ),
    curves=found.curves(mode),
    confused=_confused_pairs(source, faces, found),
    measurements={
      'probes': np.array([faces.names[row] for row in found.probe_index]),
      'ranks': found.matches.ranks,
      'mate_scores': found.matches.mate_scores,
      'other_scores': found.matches.other_scores,
    },
  )
