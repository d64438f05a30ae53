"""Pair lists: LFW's files, any other list, folds and names."""

import os

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data import protocols
from facejax.errors import DataError

VIEW_2 = """2\t2
Ann\t1\t2
Bob_Lee\t3\t11
Ann\t1\tCy\t1
Bob_Lee\t1\tDee\t4
Eve\t1\t2
Flo\t1\t2
Eve\t1\tFlo\t1
Gus\t1\tHal\t1
"""


class ProtocolsTest(chex.TestCase):
  def write(self, text):
    return self.create_tempfile('list.txt', content=text).full_path

  def test_view_2_gives_official_folds_and_file_names(self):
    pairs = protocols.read_lfw_pairs(self.write(VIEW_2))
    self.assertEqual(pairs.names_a[1], 'Bob_Lee/Bob_Lee_0003.jpg')
    self.assertEqual(pairs.names_b[1], 'Bob_Lee/Bob_Lee_0011.jpg')
    self.assertEqual(pairs.names_b[3], 'Dee/Dee_0004.jpg')
    np.testing.assert_array_equal(pairs.same, [1, 1, 0, 0] * 2)
    np.testing.assert_array_equal(pairs.folds, [0] * 4 + [1] * 4)

  def test_view_1_gets_balanced_folds(self):
    genuine = [f'Ann {i + 1} {i + 2}' for i in range(20)]
    impostor = [f'Ann {i + 1} Bob {i + 2}' for i in range(20)]
    pairs = protocols.read_lfw_pairs(
      self.write('\n'.join(['20', *genuine, *impostor]))
    )
    np.testing.assert_array_equal(
      pairs.folds, np.tile(np.repeat(np.arange(10), 2), 2)
    )

  def test_any_list_reads_tabs_blanks_and_windows_line_ends(self):
    pairs = protocols.read_any_pairs(
      self.write('a/1.jpg ./a/2.jpg 1\r\nmy face/1.jpg\tb//2.jpg\t0\r\n\r\n')
    )
    self.assertEqual(pairs.names_a, ('a/1.jpg', 'my face/1.jpg'))
    self.assertEqual(pairs.names_b, ('a/2.jpg', 'b/2.jpg'))
    np.testing.assert_array_equal(pairs.same, [True, False])

  def test_either_form_is_known_by_its_first_line(self):
    self.assertLen(protocols.read_any_pairs(self.write(VIEW_2)).same, 8)

  @parameterized.parameters(
    ('', 'is empty'),
    ('a b c\n', "line 1: expected a header like '10 300'"),
    ('0 300\n', 'line 1: expected a header'),
    ('2 2\nAnn 1 2\n', 'promises 8 pairs, the file has 1'),
    ('1 1\nAnn 1 2\nAnn 1 2\n', "line 3: expected 'NAME1 i NAME2 j' here"),
    ('1 1\n\nAnn 1 Bob 2\nAnn 1 Bob 2\n', "line 3: expected 'NAME i j' here"),
    ('1 1\nAnn 1 x\nAnn 1 Bob 2\n', "line 2: 'x' is no image number"),
    ('1 1\nAnn 0 1\nAnn 1 Bob 2\n', "line 2: '0' is no image number"),
    ('1 1\nAnn 1 2\nAnn 1 Ann 2\n', 'line 3: an impostor pair names Ann twice'),
  )
  def test_malformed_lfw_list_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      protocols.read_lfw_pairs(self.write(text))

  @parameterized.parameters(
    ('a b 1\na b\n', 'line 2: expected'),
    ('a b 2\n', 'line 1: expected'),
    ('my a b 1\n', 'tabs between paths that hold blanks'),
    ('\n \n', 'is empty'),
  )
  def test_malformed_pair_list_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      protocols.read_pairs(self.write(text))

  def test_missing_and_binary_lists_are_refused(self):
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      protocols.read_pairs('/nowhere/pairs.txt')
    path = self.create_tempfile('x', content=b'\xff\xfe\x00').full_path
    with self.assertRaisesRegex(DataError, 'no UTF-8 text'):
      protocols.read_lfw_pairs(path)

  @parameterized.parameters(1, 2, 3, 9, 10, 11, 25)
  def test_folds_are_balanced_and_none_is_empty(self, count):
    same = np.arange(2 * count + 3) < count
    folds = protocols.balanced_folds(same)
    self.assertEqual(folds.max() + 1, min(10, count))
    for kind in (same, ~same):
      sizes = np.bincount(folds[kind], minlength=folds.max() + 1)
      self.assertLessEqual(sizes.max() - sizes.min(), 1)

  def test_one_kind_of_pairs_still_gets_folds(self):
    folds = protocols.balanced_folds(np.ones(20, bool))
    np.testing.assert_array_equal(folds, np.repeat(np.arange(10), 2))

  def test_index_finds_every_pair_again(self):
    pairs = protocols.read_lfw_pairs(self.write(VIEW_2))
    images = pairs.images()
    first, second = pairs.index(images)
    self.assertEqual(tuple(images[i] for i in first), pairs.names_a)
    self.assertEqual(tuple(images[i] for i in second), pairs.names_b)
    with self.assertRaisesRegex(DataError, 'no image Ann/Ann_0001.jpg'):
      pairs.index(images[1:])

  def test_names_resolve_under_any_top_folder(self):
    wanted = ['Ann/Ann_0001.jpg', 'b.jpg']
    for top in ('', 'lfw/', 'x/lfw_112/'):
      found = protocols.resolve_names(
        wanted, [top + name for name in wanted], where='z'
      )
      self.assertEqual(found, {name: top + name for name in wanted})

  def test_names_resolve_by_whole_folder_names_only(self):
    with self.assertRaisesRegex(DataError, 'z has no image Ann/1.jpg'):
      protocols.resolve_names(['Ann/1.jpg'], ['MaryAnn/1.jpg'], where='z')

  def test_an_image_found_twice_is_refused_unless_named_exactly(self):
    with self.assertRaisesRegex(DataError, 'may be x/a.jpg or y/a.jpg'):
      protocols.resolve_names(['a.jpg'], ['x/a.jpg', 'y/a.jpg'], where='z')
    found = protocols.resolve_names(['a.jpg'], ['x/a.jpg', 'a.jpg'], where='z')
    self.assertEqual(found, {'a.jpg': 'a.jpg'})


@pytest.mark.parametrize(
  ('name', 'count', 'images'),
  [
    ('lfw_pairs.txt', 6000, 7701),
    ('lfw_pairs_dev_test.txt', 1000, None),
    ('lfw_pairs_dev_train.txt', 2200, None),
  ],
)
def test_official_lists_have_their_known_counts(shared, name, count, images):
  pairs = protocols.read_lfw_pairs(os.path.join(shared, 'faces', name))
  assert len(pairs.same) == count
  assert pairs.same.sum() == count // 2
  np.testing.assert_array_equal(np.bincount(pairs.folds), [count // 10] * 10)
  assert images is None or len(pairs.images()) == images


def test_balanced_folds_of_view_2_are_the_official_ones(shared):
  pairs = protocols.read_lfw_pairs(
    os.path.join(shared, 'faces', 'lfw_pairs.txt')
  )
  np.testing.assert_array_equal(
    protocols.balanced_folds(pairs.same), pairs.folds
  )


if __name__ == '__main__':
  absltest.main()
