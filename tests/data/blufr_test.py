"""The configuration file of BLUFR."""

import os

import chex
import numpy as np
from absl.testing import absltest, parameterized
from scipy.io import savemat

from facejax.data import blufr
from facejax.errors import DataError
from tests.data import blufr_files
from tests.data.blufr_files import cell, column

LABELS = np.repeat(np.arange(8), [3, 1, 2, 4, 2, 1, 3, 2])
NAMES = [f'P{label}_{row:04d}.jpg' for row, label in enumerate(LABELS)]
TRIALS = blufr_files.draw_trials(LABELS, trials=3, people=6, enrolled=2)


class BlufrTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'config.mat')

  def write(self, changed=None):
    return blufr_files.write_blufr(self.path, NAMES, LABELS, TRIALS, changed)

  def test_images_people_and_trials_are_read(self):
    found = blufr.read_blufr(self.write())
    self.assertEqual(found.names, tuple(NAMES))
    np.testing.assert_array_equal(found.labels, LABELS)
    self.assertLen(found.splits, 3)
    for split, (test, gallery, probes) in zip(
      found.splits, TRIALS, strict=True
    ):
      np.testing.assert_array_equal(split.gallery, gallery)
      np.testing.assert_array_equal(split.probes, probes)
      self.assertEqual(sorted([*split.gallery, *split.probes]), list(test))
    self.assertFalse(found.is_published)

  def test_rows_and_small_integers_are_read_as_columns_of_doubles(self):
    expected = blufr.read_blufr(self.write())
    indexes = {
      key: [np.uint16(trial[place] + 1)[None] for trial in TRIALS]
      for place, key in enumerate(('testIndex', 'galIndex', 'probIndex'))
    }
    content = {
      'imageList': cell(NAMES).T,
      'labels': np.int32(7 * LABELS + 3),  # any numbers, as long as they differ
      **{key: cell(of).T for key, of in indexes.items()},
    }
    savemat(self.path, content, do_compression=True)
    found = blufr.read_blufr(self.path)
    self.assertEqual(found.names, expected.names)
    chex.assert_trees_all_equal(found.labels, expected.labels)
    chex.assert_trees_all_equal(found.splits, expected.splits)

  def test_the_published_trials_are_known_by_all_their_counts(self):
    # People of LFW's number of images: 1,000 are enrolled by one image each,
    # and the probes have the published numbers.
    images = np.ones(5749, int)
    images[:1000] += 5
    images[1000] += 13233 - images.sum()
    labels = np.repeat(np.arange(5749), images)
    gallery = np.flatnonzero(np.diff(labels, prepend=-1))[:1000]
    mates = np.setdiff1d(np.flatnonzero(labels < 1000), gallery)
    others = np.flatnonzero(labels >= 1000)
    splits = []
    for tested, genuine in zip(
      blufr._NUM_TESTED, blufr._NUM_GENUINE, strict=True
    ):
      probes = np.append(mates[:genuine], others[: tested - 1000 - genuine])
      splits.append(blufr.Split(gallery, probes))
    names = tuple(map(str, range(13233)))
    found = blufr.BlufrTrials(names, labels, tuple(splits))
    self.assertTrue(found.is_published)
    for other in (splits[:9], splits[::-1]):
      self.assertFalse(
        blufr.BlufrTrials(names, labels, tuple(other)).is_published
      )

  @parameterized.parameters(
    ({'galIndex': None}, 'it has no galIndex'),
    ({'imageList': cell([1.0] * len(NAMES))}, 'imageList 1 is no name'),
    ({'imageList': cell(NAMES[:-1] + NAMES[:1])}, 'an image twice'),
    ({'imageList': cell(NAMES[1:])}, '17 images have 18 labels'),
    ({'labels': column([np.nan] * len(NAMES))}, 'no whole numbers'),
    ({'labels': column([1e300] * len(NAMES))}, 'no whole numbers'),
    ({'labels': 'many'}, 'found 1 <U4 values'),
    ({'testIndex': cell([column([1])])}, r'indexes are of \[1, 3\] trials'),
    (dict.fromkeys(('testIndex', 'galIndex', 'probIndex'), []), 'trials'),
    ({'galIndex': cell([column([0])] * 3)}, 'trial 1: .* numbers 0 to 0'),
    ({'galIndex': cell([column([19])] * 3)}, '19 to 19, of 18 images'),
    ({'galIndex': cell([column([1, 1])] * 3)}, 'names an image twice'),
    ({'galIndex': cell([column([1.5])] * 3)}, 'no whole numbers'),
    ({'galIndex': cell([column([])] * 3)}, 'trial 1: .* 0 .* values'),
    ({'galIndex': cell(['a'] * 3)}, 'trial 1: .*<U1 values'),
    (
      {'probIndex': cell([column(t[2][1:] + 1) for t in TRIALS])},
      'do not divide testIndex',
    ),
    (
      {
        'galIndex': cell([column([1, 2])] * 3),
        'testIndex': cell([column(range(1, 19))] * 3),
        'probIndex': cell([column(range(3, 19))] * 3),
      },
      'two images of one person',
    ),
  )
  def test_other_contents_are_refused(self, changed, message):
    with self.assertRaisesRegex(DataError, message):
      blufr.read_blufr(self.write(changed))

  def test_other_files_are_refused(self):
    for content in (b'', b'no MATLAB', os.urandom(300), b'\x89HDF\r\n' * 60):
      with open(self.path, 'wb') as file:
        file.write(content)
      with self.assertRaisesRegex(DataError, 'expected blufr_lfw_config.mat'):
        blufr.read_blufr(self.path)
    for path, reason in (('/nowhere.mat', 'No such file'), ('/', 'directory')):
      with self.assertRaisesRegex(DataError, f'{path}: cannot be .*{reason}'):
        blufr.read_blufr(path)

  def test_a_file_cut_short_is_refused(self):
    self.write()
    with open(self.path, 'rb') as file:
      data = file.read()
    for size in (100, 200, len(data) // 2, len(data) - 9):
      with open(self.path, 'wb') as file:
        file.write(data[:size])
      with self.assertRaisesRegex(DataError, 'expected blufr_lfw_config.mat'):
        blufr.read_blufr(self.path)


if __name__ == '__main__':
  absltest.main()
