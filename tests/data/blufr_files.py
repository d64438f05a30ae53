"""Writes the configuration file of BLUFR in small, as MATLAB writes it."""

import numpy as np
from scipy.io import savemat


def cell(values):
  """A column of a cell array of MATLAB."""
  column = np.empty((len(values), 1), object)
  for row, value in enumerate(values):
    column[row, 0] = value
  return column


def column(numbers):
  """A column vector of doubles."""
  return np.array(numbers, np.float64)[:, None]


def draw_trials(labels, *, trials, people, enrolled, seed=0):
  """Galleries and probes as BLUFR draws them, counted from 0.

  Args:
    labels: the person of every image.
    trials: how many.
    people: of a test set.
    enrolled: people of a gallery, one image each.
    seed: of the draws.
  """
  rng = np.random.default_rng(seed)
  drawn = []
  for _ in range(trials):
    tested = rng.choice(np.unique(labels), people, replace=False)
    images = [np.flatnonzero(labels == person) for person in tested]
    gallery = [rng.choice(some) for some in images if len(some) > 1][:enrolled]
    test = np.sort(np.concatenate(images))
    drawn.append((test, np.array(gallery), np.setdiff1d(test, gallery)))
  return drawn


def variables(names, labels, trials):
  """The variables of the file."""
  everything = np.arange(len(names))
  train = [np.setdiff1d(everything, test) for test, _, _ in trials]
  test, gallery, probes = zip(*trials, strict=True)
  indexes = {
    'trainIndex': train,
    'testIndex': test,
    'galIndex': gallery,
    'probIndex': probes,
  }
  return {
    'imageList': cell(list(names)),
    'labels': column(labels) + 1,
    **{
      key: cell([column(of) + 1 for of in cells])
      for key, cells in indexes.items()
    },
  }


def write_blufr(path, names, labels, trials, changed=None):
  """Writes the file; `changed` variables replace others, None leaves out."""
  content = variables(names, labels, trials) | (changed or {})
  savemat(path, {k: v for k, v in content.items() if v is not None})
  return path
