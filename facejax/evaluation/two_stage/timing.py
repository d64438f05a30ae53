"""How long two-stage recognition takes, image by image (spec 7.2)."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from facejax.array_typing import UInt8
from facejax.evaluation.identification.timing import (
  NUM_PROBES,
  REPEATS,
  interleaved_medians,
  machine,
  single_images,
)
from facejax.evaluation.two_stage.codes import pack_codes
from facejax.evaluation.two_stage.result import ASYMMETRIC, HAMMING, STAGES
from facejax.evaluation.two_stage.search import Searched
from facejax.search import scan
from facejax.search.device import DeviceCodes, DeviceVectors

Run = Callable[[], None]


def _matching_runs(searched: Searched, candidates: int) -> dict[str, Run]:
  """What is timed of matching: the timed probes, one search each."""
  probes = searched.probes[:NUM_PROBES, None]
  logits = searched.probe_logits[:NUM_PROBES, None]
  codes, vectors = searched.codes, searched.vectors
  if jax.default_backend() != 'cpu':  # no search should move the gallery
    codes, vectors = DeviceCodes(codes), DeviceVectors(vectors)
  shortlists = [
    scan.top_hamming(pack_codes(each), codes, candidates)[1] for each in logits
  ]

  def hamming() -> None:
    for each in logits:
      scan.top_hamming(pack_codes(each), codes, candidates)

  def asymmetric() -> None:
    for each in logits:
      scan.top_asymmetric(each, codes, candidates)

  def second() -> None:
    for probe, rows in zip(probes, shortlists, strict=True):
      scan.rank_candidates(probe, vectors, rows, 1)

  def exhaustive() -> None:
    for probe in probes:
      scan.top_cosine(probe, vectors, 1)

  return {
    HAMMING: hamming,
    ASYMMETRIC: asymmetric,
    'second': second,
    'float_search': exhaustive,
  }


def _matching(
  seconds: dict[str, float], num_timed: int, num_probes: int
) -> dict[str, Any]:
  """Times of matching from the medians of the runs."""
  each = {
    name: seconds[name] / num_timed
    for name in (*STAGES, 'second', 'float_search')
  }
  whole = each['float_search']
  found: dict[str, Any] = {
    'float_search': {
      'matching_us_per_probe': 1e6 * whole,
      'matching_s': whole * num_probes,
    }
  }
  for stage in STAGES:
    both = each[stage] + each['second']
    found[f'two_stage_{stage}'] = {
      'stage_1_us_per_probe': 1e6 * each[stage],
      'stage_2_us_per_probe': 1e6 * each['second'],
      'matching_us_per_probe': 1e6 * both,
      'matching_s': both * num_probes,
      'float_search_over_it': whole / both,
    }
  return found


def time_two_stage(
  searched: Searched,
  *,
  candidates: int,
  extract: Callable[[UInt8[np.ndarray, 'B 112 112 3']], Any] | None = None,
  crops: UInt8[np.ndarray, 'N 112 112 3'] | None = None,
  flip: bool = False,
) -> dict[str, Any]:
  """Times extraction, both stages and float search at batch size 1.

  Every photo and every probe comes alone. S1' is the time of one call of the
  model, which gives embedding and code together: a net that is run once for
  each pays S1 twice. S2' of a two-stage search is stage 1 (packing the probe's
  code, the search over all codes) and stage 2 (the cosines of c vectors); that
  of float search the cosines of all of them. All rounds go through all of
  these, one after the other, in one process, and medians over five rounds
  count; everything is compiled and warm before. S = S1 + S2, S1 = S1' (G + Q),
  S2 = S2' Q.

  Args:
    searched: probes and gallery; the first 256 probes are timed.
    candidates: c.
    extract: crops to embeddings and logits, one call of the model; None times
      matching alone.
    crops: those that are timed, where `extract` is given.
    flip: whether the mirrored image goes through the same call.

  Returns:
    JSON values: `float_search`, `two_stage_hamming` and
    `two_stage_asymmetric`, each with `matching_us_per_probe` (S2'),
    `matching_s` (S2) and, with `extract`, `total_s` (S); beside them
    `extraction_ms_per_image` (S1'), `extraction_s` (S1) and what they were
    measured on.

  References:
    spec 7.2.
  """
  num_probes, num_gallery = len(searched.probes), len(searched.codes)
  runs = _matching_runs(searched, candidates)
  singles = [] if crops is None else single_images(crops, flip=flip)

  def extract_all() -> None:
    for images in singles:
      extract(images)

  if extract is not None:
    runs['extraction'] = extract_all
  seconds = interleaved_medians(runs)
  num_timed = min(NUM_PROBES, num_probes)
  found = _matching(seconds, num_timed, num_probes)
  if extract is not None:
    per_image = seconds['extraction'] / len(singles)
    whole = per_image * (num_gallery + num_probes)
    for each in found.values():
      each['total_s'] = whole + each['matching_s']
    found |= {
      'extraction_ms_per_image': 1e3 * per_image,
      'extraction_s': whole,
      'num_timed_images': len(singles),
      'images_per_call': 2 if flip else 1,
    }
  return found | {
    'num_images': num_gallery + num_probes,
    'num_gallery': num_gallery,
    'num_probes': num_probes,
    'num_timed_probes': num_timed,
    'candidates': candidates,
    'batch_size': 1,
    'repeats': REPEATS,
    'machine': machine(),
  }
