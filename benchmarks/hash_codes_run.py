"""Measures codes of fitted hash layers on the closed set of LFW."""

import dataclasses
import datetime
import os
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import facejax
from benchmarks import hashed_nets
from facejax import files
from facejax.data.archives import image_names, open_archive
from facejax.data.identification_lists import folder_identities
from facejax.data.identification_splits import first_images
from facejax.data.protocols import resolve_names
from facejax.errors import UsageError
from facejax.evaluation.crops import read_crop
from facejax.evaluation.embeddings import SavedSource
from facejax.evaluation.identification.timing import NUM_IMAGES, machine
from facejax.evaluation.modes import unit_features
from facejax.evaluation.two_stage import codes, search
from facejax.evaluation.two_stage.result import STAGES, TwoStageResult
from facejax.evaluation.two_stage.shares import smallest_candidates
from facejax.evaluation.two_stage.timing import time_two_stage
from facejax.ops.linear_hash import LinearHash
from facejax.training import hash_fitting
from facejax.training.hash_features import HashFeatures

SIGN = 'sign'
HAMMING_CANDIDATES, ASYMMETRIC_CANDIDATES = 100, 50


@dataclasses.dataclass(frozen=True)
class Settings:
  """What is measured.

  Attributes:
    lengths: bits of the codes.
    methods: that layers are fitted by.
    training_set: a prepared set, or None where its embeddings are kept.
    cache: folder of these embeddings.
    crops: LFW itself, to time extraction, or None.
  """

  lengths: tuple[int, ...]
  methods: tuple[str, ...]
  training_set: str | None
  cache: str
  crops: str | None


def check_methods(methods: Sequence[str]) -> None:
  """Raises UsageError for a method that there is not."""
  unknown = [each for each in methods if each not in hash_fitting.METHODS]
  if unknown or not methods:
    raise UsageError(
      f'--hash_methods={",".join(methods)}: give some of '
      f'{", ".join(hash_fitting.METHODS)}'
    )


def parse_lengths(words: Sequence[str]) -> tuple[int, ...]:
  """Numbers of bits of a flag.

  Raises:
    UsageError: no positive multiple of 8.
  """
  if not words or not all(w.isdecimal() and int(w) for w in words):
    raise UsageError(f'--hash_lengths={",".join(words)}: give numbers of bits')
  lengths = tuple(map(int, words))
  wrong = [length for length in lengths if length % 8]
  if wrong:
    raise UsageError(f'--hash_lengths: {wrong[0]} is no multiple of 8')
  return lengths


def _found(result: TwoStageResult) -> dict[str, Any]:
  """Rates of a layer."""
  shares = result.shares
  hamming, asymmetric = (shares.by_stage[stage] for stage in STAGES)
  last = len(hamming.two_stage)
  at = [min(c, last) for c in (HAMMING_CANDIDATES, ASYMMETRIC_CANDIDATES)]
  return {
    'float': shares.rank1,
    'hamming': hamming.rank1,
    'asymmetric': asymmetric.rank1,
    'two_stage_hamming': float(hamming.two_stage[at[0] - 1]),
    'recall_hamming': float(hamming.recall[at[0] - 1]),
    'two_stage_asymmetric': float(asymmetric.two_stage[at[1] - 1]),
    'recall_asymmetric': float(asymmetric.recall[at[1] - 1]),
    'smallest_hamming': smallest_candidates(shares, 'hamming'),
    'smallest_asymmetric': smallest_candidates(shares, 'asymmetric'),
    'equals_float_search': result.equals_float_search,
  }


class _Net:
  """A net, its embeddings of LFW and of the training set."""

  def __init__(self, path: str, embeddings: str, settings: Settings):
    source = SavedSource(embeddings)
    names = source.names()
    self.path, self.settings, self.names = path, settings, names
    self.name = files.Path(path).name
    self.features = unit_features(source.embed(names, flip=False), 'plain')
    identities = folder_identities(names)
    self.labels = np.unique(identities, return_inverse=True)[1]
    self.split = first_images(self.labels)
    self._model, self._training = None, None

  @property
  def training(self) -> HashFeatures:
    """Embeddings of the training set, read or made once."""
    if self._training is None:
      self._training = hashed_nets.training_features(
        self.path, self.settings.training_set, self.settings.cache
      )
    return self._training

  def crops(self) -> np.ndarray:
    """The probes whose extraction is timed."""
    archive = open_archive(self.settings.crops)
    names = [self.names[row] for row in self.split.probes[:NUM_IMAGES]]
    members = resolve_names(
      names, image_names(archive), where=self.settings.crops
    )
    return np.stack([read_crop(archive, members[name]) for name in names])

  def extraction(self, layer: LinearHash) -> dict[str, Any]:
    """What times one pass, if there are crops; says how near its logits are."""
    if self.settings.crops is None:
      return {}
    if self._model is None:
      self._model = facejax.load_model(self.path)
    extract, crops = hashed_nets.with_layer(self._model, layer), self.crops()
    rows = self.split.probes[: len(crops)]
    wanted = layer.logits(self.features[rows])
    found = np.concatenate(
      [np.asarray(extract(crop[None]).logits) for crop in crops]
    )
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return {'extract': extract, 'crops': crops, 'logits_error': error}


def _times(net: _Net, layer: LinearHash, logits: np.ndarray) -> dict[str, Any]:
  """S1' and S2' of a layer, with float search in the same rounds."""
  options = net.extraction(layer)
  error = options.pop('logits_error', None)
  searched = search.as_searched(
    net.features, logits, net.labels, net.split.gallery, net.split.probes
  )
  candidates = min(HAMMING_CANDIDATES, len(net.split.gallery))
  extract = options.pop('extract', None)
  found = time_two_stage(
    searched,
    candidates=candidates,
    extract=extract and (lambda crops: jax.block_until_ready(extract(crops))),
    **options,
  )
  return found | {'logits_error': error}


def _measure(
  net: _Net, method: str, num_bits: int, times: dict[int, Any]
) -> dict[str, Any]:
  """Fits a layer and looks LFW up by its codes."""
  files.note(f'{net.name}: {method}, {num_bits} bits')
  size = net.features.shape[1]
  layer = hash_fitting.fit_hash(
    method, num_bits, size=size, features=net.training
  ).layer
  logits = layer.logits(net.features).astype(np.float32)
  result = search.search_closed_set(
    net.features, logits, net.labels, *net.split
  )
  if num_bits not in times:  # the same work whatever the method
    times[num_bits] = _times(net, layer, logits)
  return {
    'net': net.name,
    'method': method,
    **_found(result),
    'codes': codes.describe_bits(logits[net.split.gallery]),
    **codes.describe_bytes(num_bits, size, len(net.split.gallery)),
    'timing': times[num_bits],
  }


def measure_all(
  nets: Sequence[tuple[str, str]], settings: Settings
) -> dict[str, Any]:
  """Every net with every method and length; JSON values.

  Args:
    nets: model directories, each with its embeddings of LFW.
    settings: what is measured.

  Raises:
    UsageError: an unknown method, or embeddings that are neither kept nor can
      be made.
    DataError: embeddings or images cannot be used.
  """
  check_methods(settings.methods)
  rows = []
  for path, embeddings in nets:
    net, times = _Net(path, embeddings, settings), {}
    for num_bits in settings.lengths:
      for method in settings.methods:
        if method != SIGN:
          rows.append(_measure(net, method, num_bits, times))
    if SIGN in settings.methods:
      rows.append(_measure(net, SIGN, net.features.shape[1], times))
  return {
    'date': datetime.date.today().isoformat(),
    'command': ' '.join(
      ['python', '-m', 'benchmarks.hash_codes', *sys.argv[1:]]
    ),
    'machine': machine(),
    'num_cores': os.cpu_count(),
    'load_average': os.getloadavg()[0],
    'mode': 'plain',
    'candidates': {
      'hamming': HAMMING_CANDIDATES,
      'asymmetric': ASYMMETRIC_CANDIDATES,
    },
    'num_gallery': len(net.split.gallery),
    'num_probes': len(net.split.probes),
    'rows': rows,
  }
