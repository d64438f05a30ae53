"""Lists of two paths and a label on every line."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.paths import read_pairs
from facejax.errors import DataError


class PathsTest(chex.TestCase):
  def write(self, text):
    return self.create_tempfile('list.txt', content=text).full_path

  def test_any_list_reads_tabs_blanks_and_windows_line_ends(self):
    pairs = read_pairs(
      self.write('a/1.jpg ./a/2.jpg 1\r\nmy face/1.jpg\tb//2.jpg\t0\r\n\r\n')
    )
    self.assertEqual(pairs.names_a, ('a/1.jpg', 'my face/1.jpg'))
    self.assertEqual(pairs.names_b, ('a/2.jpg', 'b/2.jpg'))
    np.testing.assert_array_equal(pairs.same, [True, False])

  @parameterized.parameters(
    ('a b 1\na b\n', 'line 2: expected'),
    ('a b 2\n', 'line 1: expected'),
    ('my a b 1\n', 'tabs between paths that hold blanks'),
    ('\n \n', 'is empty'),
  )
  def test_malformed_pair_list_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      read_pairs(self.write(text))

  def test_minus_one_is_two_people(self):
    pairs = read_pairs(self.write('00001.jpg 00002.jpg -1\n3.jpg 4.jpg 1\n'))
    np.testing.assert_array_equal(pairs.same, [False, True])

  def test_the_label_may_stand_in_front_of_every_line(self):
    pairs = read_pairs(self.write('1 a/1.jpg a/2.jpg\n0 a/1.jpg b/1.jpg\n'))
    self.assertEqual(pairs.names_a, ('a/1.jpg', 'a/1.jpg'))
    self.assertEqual(pairs.names_b, ('a/2.jpg', 'b/1.jpg'))
    np.testing.assert_array_equal(pairs.same, [True, False])
    with self.assertRaisesRegex(
      DataError, "line 2: expected '0|1 path_a path_b'.* found 'a b 1'"
    ):
      read_pairs(self.write('1 a b\na b 1\n'))

  def test_tenths_of_equal_kinds_are_the_folds(self):
    # As the lists made from InsightFace's sets: 3 genuine, 3 impostor pairs.
    lines = [f'{i}a {i}b {1 if i % 6 < 3 else -1}' for i in range(60)]
    pairs = read_pairs(self.write('\n'.join(lines)))
    np.testing.assert_array_equal(pairs.folds, np.arange(60) // 6)


if __name__ == '__main__':
  absltest.main()
