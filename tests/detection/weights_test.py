import importlib.metadata
import io
import os
import pickle
import subprocess
import sys
from unittest import mock

import chex
import jax
import lz4.frame
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import weights
from facejax.errors import DataError
from tests.conftest import REPOSITORY


class NumpyArrayWrapper:
  __module__ = 'joblib.numpy_pickle'


class Hostile:
  def __reduce__(self):
    return os.system, ('touch /tmp/facejax_was_here',)


def described(array, **changes):
  """joblib's description of an array, which stands before its bytes."""
  wrapper = NumpyArrayWrapper()
  wrapper.__dict__ = {
    'subclass': np.ndarray,
    'shape': array.shape,
    'order': 'C',
    'dtype': array.dtype,
    'allow_mmap': True,
    'numpy_array_alignment_bytes': 16,
  } | changes
  return wrapper


class Pickler(pickle._Pickler):
  """Writes arrays as joblib does: outside of the pickle's frames."""

  def __init__(self, file, **changes):
    super().__init__(file, protocol=4)
    self._out, self._changes = file, changes

  def save_global(self, value, name=None):
    if value is NumpyArrayWrapper:
      self.save('joblib.numpy_pickle')
      self.save('NumpyArrayWrapper')
      self.write(pickle.STACK_GLOBAL)
      self.memoize(value)
      return
    super().save_global(value, name)

  def save(self, value, *args):
    if type(value) is not np.ndarray:
      super().save(value, *args)
      return
    super().save(described(value, **self._changes))
    self.framer.commit_frame(force=True)
    self._out.write(b'\x03\xff\xff\xff' + value.tobytes())

  dispatch = pickle._Pickler.dispatch | {type: save_global}


def packed(value, **changes):
  file = io.BytesIO()
  Pickler(file, **changes).dump(value)
  return lz4.frame.compress(file.getvalue())


class JoblibTest(chex.TestCase):
  def test_arrays_come_back(self):
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7])]
    out = weights.read_joblib(packed(arrays), 'x')
    for array, expected in zip(out, arrays, strict=True):
      np.testing.assert_array_equal(array, expected)

  @parameterized.parameters(
    ({'shape': (2, 99)},),
    ({'shape': (2, -3)},),
    ({'shape': (1 << 60, 1 << 60)},),
    ({'order': 'K'},),
    ({'dtype': np.dtype(np.float64)},),
    ({'dtype': 'float32'},),
    ({'dtype': np.dtype(object)},),
  )
  def test_descriptions_that_lie_are_refused(self, changes):
    data = packed([np.ones((2, 3), np.float32)], **changes)
    with self.assertRaisesRegex(DataError, 'x: '):
      weights.read_joblib(data, 'x')

  @parameterized.parameters(
    ([1.0],), ({'a': 1},), (None,), ([described(np.ones(3)), 5],)
  )
  def test_anything_but_a_list_of_arrays_is_refused(self, value):
    with self.assertRaisesRegex(DataError, 'x: '):
      weights.read_joblib(packed(value), 'x')

  def test_code_in_a_pickle_is_not_run(self):
    with self.assertRaisesRegex(DataError, 'refused'):
      weights.read_joblib(packed([Hostile()]), 'x')
    self.assertFalse(os.path.exists('/tmp/facejax_was_here'))

  @parameterized.parameters(b'', b'nothing of the kind', b'\x04"M\x18@@\xc0')
  def test_what_is_not_lz4_is_refused(self, data):
    with self.assertRaisesRegex(DataError, 'x: is no readable'):
      weights.read_joblib(data, 'x')

  @parameterized.parameters(10, 100, 1000, 5000)
  def test_files_cut_short_are_refused(self, length):
    data = lz4.frame.decompress(packed([np.ones((50, 30), np.float32)]))
    with self.assertRaisesRegex(DataError, 'x: '):
      weights.read_joblib(lz4.frame.compress(data[:length]), 'x')


class LoadWeightsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.cache = self.create_tempdir().full_path
    self.enter_context(
      mock.patch.dict(os.environ, {'FACEJAX_CACHE': self.cache})
    )

  def cached(self):
    (name,) = os.listdir(self.cache)
    return os.path.join(self.cache, name)

  def test_the_second_time_they_come_from_the_cache(self):
    first = weights.load_weights()
    with mock.patch.object(weights, 'read_joblib') as read:
      second = weights.load_weights()
    read.assert_not_called()
    jax.tree.map(np.testing.assert_array_equal, first, second)

  def test_a_damaged_cache_is_made_anew(self):
    first = weights.load_weights()
    with open(self.cached(), 'r+b') as file:
      file.truncate(1000)
    second = weights.load_weights()
    jax.tree.map(np.testing.assert_array_equal, first, second)
    self.assertGreater(os.path.getsize(self.cached()), 1_000_000)

  def test_no_cache_is_no_obstacle(self):
    with open(os.path.join(self.cache, 'file'), 'wb'):
      pass
    folder = os.path.join(self.cache, 'file', 'below')
    with mock.patch.dict(os.environ, {'FACEJAX_CACHE': folder}):
      self.assertLen(weights.load_weights(), 3)

  def test_a_missing_wheel_says_what_to_install(self):
    missing = importlib.metadata.PackageNotFoundError('mtcnn')
    with (
      mock.patch.object(
        importlib.metadata, 'distribution', side_effect=missing
      ),
      self.assertRaisesRegex(DataError, 'pip install mtcnn'),
    ):
      weights.load_weights()

  def test_another_wheel_of_that_name_is_refused(self):
    other = mock.Mock(importlib.metadata.Distribution, version='9')
    other.locate_file.return_value = os.path.join(self.cache, 'none')
    with (
      mock.patch.object(importlib.metadata, 'distribution', return_value=other),
      self.assertRaisesRegex(DataError, 'none: cannot be read'),
    ):
      weights.load_weights()

  def test_other_networks_are_refused(self):
    arrays = [np.ones((3, 3, 3, 10), np.float32)]
    with (
      mock.patch.object(weights, 'read_joblib', return_value=arrays),
      self.assertRaisesRegex(DataError, 'has 1 arrays, not 13'),
    ):
      weights.load_weights()

  def test_neither_tensorflow_nor_the_wheel_is_imported(self):
    code = (
      'import sys, facejax.detection.weights as w; w.load_weights();'
      'bad = {"mtcnn", "tensorflow", "joblib"} & set(sys.modules);'
      'sys.exit(str(bad) if bad else 0)'
    )
    subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY, check=True)


if __name__ == '__main__':
  absltest.main()
