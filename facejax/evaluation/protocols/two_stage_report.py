"""What the report of a two-stage search says and shows."""

from typing import Any

import numpy as np

from facejax.evaluation.protocols.identification_report import (
  NUM_CONFUSED,
  show_pairs,
)
from facejax.evaluation.protocols.labelled_faces import LabelledFaces
from facejax.evaluation.protocols.protocol import common_result
from facejax.evaluation.protocols.splits import (
  FULL,
  describe_split,
  is_all_of_lfw,
)
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.reporting.labels import protocol_name
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.two_stage import codes, result, shares
from facejax.evaluation.two_stage.result import HAMMING, STAGES, TwoStageResult

NAME = 'lfw_two_stage'


def _describe_split(
  faces: LabelledFaces, found: TwoStageResult, split: str
) -> dict[str, Any]:
  """JSON values of the split, and of what it may be compared with."""
  official = split == FULL and is_all_of_lfw(
    NAME, found.num_identities, len(faces.names), len(found.probe_index)
  )
  return describe_split(split, official=official) | {
    'num_probes': len(found.probe_index),
    'num_gallery': len(found.gallery_index),
    'num_identities': found.num_identities,
  }


def _confused(
  source: EmbeddingSource, faces: LabelledFaces, found: TwoStageResult
) -> list[ConfusedPair]:
  """Wrong answers, then the same probes with the mates they missed."""
  wrong = found.lost(NUM_CONFUSED)
  answers = found.answers[HAMMING]
  rows = np.concatenate([answers.rows[wrong], found.mates[wrong]])
  scores = np.concatenate([answers.scores[wrong], found.mate_scores[wrong]])
  probes = found.probe_index[np.concatenate([wrong, wrong])]
  images = found.gallery_index[rows]
  return show_pairs(
    source, faces, probes, images, scores, num_impostors=len(wrong)
  )


def _measurements(
  faces: LabelledFaces, found: TwoStageResult
) -> dict[str, np.ndarray]:
  """What a later comparison of models needs of every probe."""
  measured = {
    'probes': np.array([faces.names[row] for row in found.probe_index]),
    'right_float_search': found.float_right,
  }
  for stage in STAGES:
    measured[f'right_two_stage_{stage}'] = found.answers[stage].right
    measured[f'places_{stage}'] = found.answers[stage].places
  return measured


def _values(
  faces: LabelledFaces, found: list[TwoStageResult], split: str
) -> dict[str, Any]:
  """All rates as JSON values; those of several draws are means."""
  first = found[0]
  mean, deviations = shares.over_draws([each.shares for each in found])
  num_probes = len(first.probe_index)
  logits = faces.logits[first.gallery_index]
  values = {
    'measure': 'cosine',
    'num_images': len(faces.names),
    **_describe_split(faces, first, split),
    'tie_rules': result.TIE_RULES,
    **result.to_json(
      mean, deviations, candidates=first.candidates, num_probes=num_probes
    ),
    'equals_float_search': all(each.equals_float_search for each in found),
    'codes': codes.describe_bits(logits),
    **codes.describe_bytes(
      logits.shape[1], faces.features.shape[1], len(first.gallery_index)
    ),
  }
  values['float_search']['rank1_lower_row_by_vectors'] = {
    name: float(np.mean([each.by_vectors[name] for each in found]))
    for name in first.by_vectors
  }
  if first.radius is not None:
    values['radius_rule'] = first.radius.to_json()
  return values


def two_stage_report(
  source: EmbeddingSource,
  faces: LabelledFaces,
  found: list[TwoStageResult],
  beside: dict[str, Any],
  *,
  mode: str,
  split: str,
) -> Report:
  """A report of rates with curves and wrong answers.

  Args:
    source: gave the embeddings; gives pictures.
    faces: what was compared.
    found: of every draw; of several, pictures, answers, bits and the radius
      rule are those of the first.
    beside: JSON values that are added: lists, draws, timing.
    mode: a name of `modes.MODES`.
    split: FULL, SURROGATE or LISTS.

  Returns:
    The report. Its confused pairs are wrong answers of the Hamming two-stage
    search, those that float search gets right first, and after them the same
    probes with the mates they missed. Its measurements say for each of its
    `probes` whether float search and both two-stage searches are right, and
    the mate's place in both first stages.
  """
  first = found[0]
  num_gallery, num_probes = len(first.gallery_index), len(first.probe_index)
  return Report(
    common_result(NAME, source, mode=mode)
    | _values(faces, found, split)
    | beside,
    title=(
      f'{protocol_name(NAME)}, {split}, {source.hash_bits} bits: '
      f'{num_probes:,} probes, {num_gallery:,} enrolled images'
    ),
    curves=result.make_curves(first.shares),
    confused=_confused(source, faces, first),
    measurements=_measurements(faces, first),
  )
