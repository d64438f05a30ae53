"""Writes official folds of AgeDB in small."""

import numpy as np
from scipy.io import savemat


def cell(values):
  """A cell array of MATLAB, of the shape of nested lists."""
  flat = [x for row in values for x in row]
  array = np.empty(len(flat), object)
  array[:] = flat
  return array.reshape(len(values), -1)


def write_folds(path, folds, *, pairs=4):
  """Folds of `pairs` pairs, the first half genuine, as MATLAB writes them."""
  splits = []
  for fold in range(folds):
    names = [
      [{'name': f'{fold}_{k}_{side}', 'age': 30.0} for k in range(pairs)]
      for side in 'ab'
    ]
    labels = np.where(np.arange(pairs) < pairs // 2, 1.0, -1.0)[None]
    splits.append([{'pairs': cell(names), 'labels': labels}])
  savemat(path, {'splits': cell(splits)})
  return path
