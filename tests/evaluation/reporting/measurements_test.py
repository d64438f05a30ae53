"""Curves in an .npz and back."""

import io
import pathlib

import chex
import numpy as np
from absl.testing import absltest

from facejax.errors import DataError
from facejax.evaluation.metrics import OperatingPoint
from facejax.evaluation.reporting import measurements
from facejax.evaluation.reporting.curves import Curves, Degradation, RocCurve
from tests.evaluation.reporting import examples


def everything():
  levels = np.array([1.0, 2])
  return Curves(
    roc={'plain': examples.roc('n'), 'a/b "c"': examples.roc()},
    histogram={'plain': examples.histogram()},
    cmc={'full': examples.cmc()},
    dir={'': examples.dir_curve()},
    candidates={'hamming': examples.candidates()},
    degradation={
      'x': Degradation('blur', levels, 'px', levels / 4, 'accuracy', 0.9)
    },
  )


class MeasurementsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(self.create_tempdir().full_path) / 'm.npz'

  def test_all_curves_come_back_as_they_were(self):
    curves, own = everything(), {'same': np.array([True, False])}
    self.path.write_bytes(measurements.encode(curves, own, title='<t>'))
    found, measured, title = measurements.read(self.path)
    chex.assert_trees_all_equal(vars(found).keys(), vars(curves).keys())
    for kind, each in vars(curves).items():
      self.assertEqual(list(getattr(found, kind)), list(each))
      for name, curve in each.items():
        other = getattr(found, kind)[name]
        if kind == 'cmc':
          np.testing.assert_array_equal(other, curve)
        else:
          chex.assert_trees_all_equal(vars(other), vars(curve))
    np.testing.assert_array_equal(measured['same'], own['same'])
    self.assertEqual(title, '<t>')

  def test_an_infinite_threshold_survives(self):
    point = OperatingPoint(1.0, 1.0, float('-inf'))
    curve = RocCurve(examples.FAR, examples.TAR, 100, {1.0: point})
    data = measurements.encode(Curves(roc={'a': curve}), {}, title='')
    self.path.write_bytes(data)
    found, _, _ = measurements.read(self.path)
    self.assertEqual(found.roc['a'].points, {1.0: point})

  def test_nothing_is_pickled_and_the_same_is_the_same_file(self):
    data = measurements.encode(everything(), {}, title='')
    self.assertEqual(data, measurements.encode(everything(), {}, title=''))
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
      self.assertTrue(all(arrays[key].dtype != object for key in arrays))
    with self.assertRaises(ValueError):
      measurements.encode(Curves(), {'x': np.array([None])}, title='')

  def test_other_files_are_refused_by_name(self):
    self.path.write_bytes(b'PK no zip')
    with self.assertRaisesRegex(DataError, 'm.npz: is no file of meas'):
      measurements.read(self.path)
    np.savez(self.path, names=np.array(['a']))
    with self.assertRaisesRegex(DataError, 'run the evaluation again'):
      measurements.read(self.path)


if __name__ == '__main__':
  absltest.main()
