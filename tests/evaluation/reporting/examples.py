"""Reports of a few numbers that anybody can check."""

import numpy as np

from facejax.data.images import encode_jpeg
from facejax.evaluation.metrics import OperatingPoint
from facejax.evaluation.reporting.curves import (
  CandidateCurve,
  ConfusedPair,
  Curves,
  DirCurve,
  RocCurve,
  ScoreHistogram,
)
from facejax.evaluation.reporting.report import Report

FAR = np.array([0, 0, 0.01, 0.02, 0.1, 1])
TAR = np.array([0, 0.6, 0.7, 0.9, 0.95, 1])


def roc(note=''):
  """An ROC of 100 impostor pairs, with two operating points."""
  points = {
    0.1: OperatingPoint(0.95, 0.1, 0.2),
    0.01: OperatingPoint(0.7, 0.01, 0.4),
  }
  return RocCurve(FAR, TAR, 100, points, note)


def histogram():
  """Six bins, the outer ones empty."""
  return ScoreHistogram(
    edges=np.linspace(-0.5, 1, 7),
    genuine=np.array([0, 0, 0, 1, 3, 0]),
    impostor=np.array([0, 10_000_000, 40_000_000, 5, 0, 0]),
    threshold=0.35,
  )


def cmc():
  """Shares at ranks 1, 2 and 3."""
  return np.array([0.9, 0.95, 1.0])


def dir_curve():
  """DIR of 10 impostor probes."""
  return DirCurve(np.array([0, 0.1, 1]), np.array([0.5, 0.8, 0.9]), 10)


def candidates():
  """A two-stage search of a gallery of 100."""
  return CandidateCurve(
    candidates=np.array([1, 10, 20, 100]),
    recall=np.array([0.6, 0.875, 0.9375, 1.0]),
    rank1=np.array([0.6, 0.75, 0.8125, 0.8125]),
    float_rank1=0.8125,
    smallest=20,
  )


def result(**changes):
  """A result in one mode."""
  return {
    'protocol': 'lfw',
    'mode': 'plain',
    'transductive': False,
    'model': 'runs/one/model',
    'num_pairs': 8,
    'accuracy': 0.9918,
    'std': 0.0041,
    'interval_95': [0.9892, 0.9938],
    'auc': 0.99883,
    'eer': 0.01,
    'tar_at_far': {'1e-1': 0.95, '1e-2': 0.7},
    'tar_intervals_95': {'1e-1': [0.9, 0.97], '1e-2': [0.6, 0.8]},
    'thresholds': {'1e-1': 0.2, '1e-2': 0.4},
    'measure': 'cosine',
    'strange': {'unknown': 'only in the raw numbers'},
  } | changes


def face(value):
  """A small grey picture."""
  return encode_jpeg(np.full((8, 8, 3), value, np.uint8))


def confused(first='Ann/1.jpg', second='Bob/1.jpg'):
  """An impostor pair with pictures and a genuine one without."""
  return (
    ConfusedPair(first, second, 0.625, False, (face(50), face(200))),
    ConfusedPair('Ann/1.jpg', 'Ann/2.jpg', 0.125, True),
  )


def report(curves=None, correct=None, **changes):
  """A report without pictures, which are slow, unless curves are given."""
  measurements = {}
  if correct is not None:
    measurements = {
      'same': np.arange(len(correct)) % 2 == 0,
      'correct_plain': np.array(correct, bool),
    }
  return Report(
    result(**changes),
    title='LFW: 8 pairs',
    curves=curves or Curves(),
    confused=confused(),
    measurements=measurements,
  )
