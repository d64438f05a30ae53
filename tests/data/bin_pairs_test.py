import os
import pathlib
import pickle
import tempfile

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.data.archives import Archive, FolderArchive, open_archive
from facejax.data.bin_pairs import BinPairs, contiguous_folds
from facejax.data.bin_writing import write_bin
from facejax.data.images import encode_jpeg, image_size
from facejax.data.protocols import PairList, read_pairs
from facejax.errors import DataError

JPEGS = [encode_jpeg(np.full((8, 8, 3), 30 * i, np.uint8)) for i in range(4)]


class BinPairsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.root / 'set.bin'

  def write(self, value, protocol=2):
    self.path.write_bytes(pickle.dumps(value, protocol))
    return self.path

  def folder(self):
    """Four images a.jpg .. d.jpg of two people."""
    for name, data in zip('abcd', JPEGS, strict=True):
      path = self.root / 'faces' / 'p' / f'{name}.jpg'
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(data)
    return FolderArchive(self.root / 'faces')

  @parameterized.product(
    form=(
      bytes,
      lambda data: np.frombuffer(data, np.uint8),
      lambda data: np.frombuffer(data, np.uint8)[:, None],
    ),
    flags=(list, tuple, np.array),
    protocol=(0, 2, 4, 5),
  )
  def test_images_and_pairs_of_every_form_are_read(self, form, flags, protocol):
    same = flags([True, False])
    path = self.write(([form(data) for data in JPEGS], same), protocol)
    pairs = BinPairs(path)
    self.assertIsInstance(pairs, Archive)
    names = ['000000.jpg', '000001.jpg', '000002.jpg', '000003.jpg']
    self.assertEqual(pairs.names(), names)
    self.assertEqual([pairs.read(name) for name in names], JPEGS)
    pair_list = pairs.pair_list()
    self.assertEqual(pair_list.names_a, ('000000.jpg', '000002.jpg'))
    self.assertEqual(pair_list.names_b, ('000001.jpg', '000003.jpg'))
    self.assertEqual(pair_list.same.tolist(), [True, False])

  def test_an_archive_is_opened_by_its_ending_and_pickles(self):
    self.write((JPEGS, [1, 0]))
    archive = pickle.loads(pickle.dumps(open_archive(self.path)))
    self.assertIsInstance(archive, BinPairs)
    self.assertEqual(archive.read('000003.jpg'), JPEGS[3])
    with self.assertRaisesRegex(DataError, 'has no image a.jpg'):
      archive.read('a.jpg')

  def test_an_image_of_two_pairs_has_two_names(self):
    pairs = BinPairs(self.write(([JPEGS[0]] * 4, [True, True]))).pair_list()
    self.assertLen(pairs.images(), 4)

  def test_folds_are_those_of_insightface(self):
    # KFold(10, shuffle=False) of scikit-learn.
    for count, sizes in (
      (23, [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]),
      (10, [1] * 10),
      (3, [1] * 3),
      (6000, [600] * 10),
    ):
      expected = np.repeat(np.arange(len(sizes)), sizes)
      np.testing.assert_array_equal(contiguous_folds(count), expected)
    same = [i % 2 == 0 for i in range(23)]
    pairs = BinPairs(self.write((JPEGS[:2] * 23, same))).pair_list()
    np.testing.assert_array_equal(pairs.folds, contiguous_folds(23))
    self.assertEqual(pairs.same.tolist(), same)

  @parameterized.parameters(
    ((JPEGS, [True]), '4 images for 1 pairs, expected 2'),
    ((JPEGS[:3], [True, False]), '3 images for 2 pairs, expected 4'),
    (([], []), 'holds no pair'),
    ((JPEGS, True), 'what is the same person is no list'),
    ((np.zeros((4, 9), np.uint8), [True, False]), 'its images are no list'),
    (JPEGS, 'is no pair'),
    (({'images': JPEGS},), 'is no pair'),
    ((JPEGS, [True, 2]), 'pair 1: is neither True nor False'),
    ((JPEGS, [True, 0.5]), 'pair 1: is neither True nor False'),
    ((['path.jpg', *JPEGS[1:]], [1, 0]), 'image 0: is of type str'),
    (([*JPEGS[:3], None], [1, 0]), 'image 3: is of type NoneType'),
    (
      ([*JPEGS[:3], np.zeros((112, 112, 3), np.uint8)], [1, 0]),
      r'image 3: is an array \[112, 112, 3\]',
    ),
    (
      ([*JPEGS[:3], np.zeros(9, np.float32)], [1, 0]),
      'image 3: is of type float32',
    ),
  )
  def test_what_is_no_verification_set_says_why(self, value, message):
    with self.assertRaisesRegex(DataError, message):
      BinPairs(self.write(value))

  def test_a_number_too_long_to_print_is_no_crash(self):
    with self.assertRaisesRegex(DataError, 'pair 1: is neither True nor'):
      BinPairs(self.write((JPEGS, [True, 1 << 99999])))

  def test_code_in_the_pickle_is_refused_and_not_run(self):
    trace = self.root / 'trace'

    class Evil:
      def __reduce__(self):
        return os.system, (f'touch {trace}',)

    for value in (Evil(), ([Evil(), *JPEGS[1:]], [True, Evil()])):
      with self.assertRaisesRegex(DataError, 'set.bin: refused.*may run code'):
        open_archive(self.write(value))
    self.assertFalse(trace.exists())

  @parameterized.parameters(b'', b'PK\x03\x04', b'\x80\x02', JPEGS[0])
  def test_files_of_another_kind_are_refused(self, content):
    self.path.write_bytes(content)
    with self.assertRaisesRegex(
      DataError, 'set.bin: (is no readable pickle|refused)'
    ):
      BinPairs(self.path)

  def test_a_missing_file_says_so(self):
    with self.assertRaisesRegex(DataError, 'cannot be read .No such file'):
      BinPairs(self.path)

  @settings(deadline=None, max_examples=100)
  @given(
    st.lists(st.tuples(st.binary(), st.binary(), st.booleans()), min_size=1),
    st.integers(0, 5),
  )
  def test_any_bytes_round_trip(self, pairs, protocol):
    images = [image for first, second, _ in pairs for image in (first, second)]
    same = [is_same for _, _, is_same in pairs]
    archive = BinPairs(self.write((images, same), protocol))
    self.assertEqual([archive.read(n) for n in archive.names()], images)
    self.assertEqual(archive.pair_list().same.tolist(), same)

  def test_other_tools_read_what_is_written(self):
    pairs = PairList(
      ('p/a.jpg', 'p/a.jpg', 'p/c.jpg'),
      ('p/b.jpg', 'p/c.jpg', 'p/d.jpg'),
      np.array([True, False, True]),
      np.array([0, 1, 0]),
    )
    counts = write_bin(self.path, self.folder(), pairs, where='faces')
    data = self.path.read_bytes()
    a, b, c, d = JPEGS
    expected = ([a, b, c, d, a, c], [True, True, False])  # fold by fold
    # How InsightFace reads it, and a tool that knows of no Python 2.
    self.assertEqual(pickle.loads(data, encoding='bytes'), expected)
    self.assertEqual(pickle.loads(data), expected)
    self.assertEqual(data[:2], b'\x80\x02')  # Python 2 reads protocol 2
    self.assertEqual(
      counts, {'num_pairs': 3, 'num_images': 4, 'bytes': len(data)}
    )
    back = BinPairs(self.path)
    self.assertEqual([back.read(n) for n in back.names()], expected[0])
    self.assertEqual(back.pair_list().same.tolist(), expected[1])

  def test_folds_of_one_size_come_back(self):
    # All genuine pairs first: as it stands, every fold would be of one kind.
    lines = ['p/a.jpg p/b.jpg 1'] * 20 + ['p/a.jpg p/c.jpg 0'] * 20
    (self.root / 'pairs.txt').write_text('\n'.join(lines))
    pairs = read_pairs(self.root / 'pairs.txt')
    write_bin(self.path, self.folder(), pairs, where='faces')
    back = BinPairs(self.path).pair_list()
    np.testing.assert_array_equal(back.folds, np.sort(pairs.folds))
    for fold in range(10):
      self.assertEqual(sorted(back.same[back.folds == fold]), [0, 0, 1, 1])

  @parameterized.parameters(
    ('p/x.jpg', 'faces has no image p/x.jpg'),
    ('p/broken.jpg', 'broken.jpg is no readable image'),
  )
  def test_a_missing_image_leaves_no_file(self, name, message):
    archive = self.folder()
    (self.root / 'faces' / 'p' / 'broken.jpg').write_bytes(b'text')
    pairs = PairList(('p/a.jpg',), (name,), np.array([True]), np.array([0]))
    with self.assertRaisesRegex(DataError, message):
      write_bin(self.path, archive, pairs, where='faces')
    self.assertFalse(self.path.exists())


def test_a_real_set_is_read(shared):
  pairs = BinPairs(os.path.join(shared, 'recordio', 'small_lfw.bin'))
  assert len(pairs.names()) == 20
  assert pairs.pair_list().same.tolist() == [True] * 10
  assert {image_size(pairs.read(n)) for n in pairs.names()} == {(112, 112)}


if __name__ == '__main__':
  absltest.main()
