"""The lists of CALFW and CPLFW."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.image_lines import read_image_lines
from facejax.errors import DataError


def lines_of(labels):
  """Two lines for each label, as the official lists have them."""
  return '\n'.join(
    f'P{i}_0001.jpg {label}\nP{i}_0002.jpg {label}'
    for i, label in enumerate(labels)
  )


class ImageLinesTest(chex.TestCase):
  def read(self, text):
    return read_image_lines(self.create_tempfile(content=text).full_path)

  def test_two_lines_make_a_pair(self):
    pairs = self.read('Ann_1.jpg 1\r\nAnn_3.jpg 1\r\nBob_2.jpg 0\nAnn_1.jpg 0')
    self.assertEqual(pairs.names_a, ('Ann_1.jpg', 'Bob_2.jpg'))
    self.assertEqual(pairs.names_b, ('Ann_3.jpg', 'Ann_1.jpg'))
    np.testing.assert_array_equal(pairs.same, [True, False])

  def test_the_official_lists_give_ten_folds_of_600(self):
    fold = np.tile(np.repeat(np.arange(10), 300), 2)
    cplfw = self.read(lines_of([1] * 3000 + [0] * 3000))
    np.testing.assert_array_equal(cplfw.folds, fold)
    # CALFW's labels are the folds of its genuine pairs.
    calfw = self.read(
      lines_of([*np.repeat(np.arange(1, 11), 300), *[0] * 3000])
    )
    np.testing.assert_array_equal(calfw.same, cplfw.same)
    np.testing.assert_array_equal(calfw.folds, fold)

  def test_labels_are_folds_even_where_these_differ_in_size(self):
    pairs = self.read(lines_of([1, 1, 1, 4, 0, 0, 0, 0]))
    np.testing.assert_array_equal(pairs.folds, [0, 0, 0, 1, 0, 0, 1, 1])

  def test_a_list_of_genuine_pairs_alone_has_its_folds(self):
    np.testing.assert_array_equal(self.read(lines_of([1, 2])).folds, [0, 1])

  @parameterized.parameters(
    ('a.jpg 1\nb.jpg 0\n', "line 2: expected 'image label' with the label 1"),
    ('a.jpg 1\n\nb.jpg\n', "line 3: expected 'image label' with the label 1"),
    ('a.jpg b.jpg 1\n', "line 1: expected 'image label', found 'a.jpg b.jpg 1"),
    ('a.jpg -1\nb.jpg -1\n', "line 1: expected 'image label'"),
    ('a 1\nb 1\nc 0\n', 'line 3: expected a second line for the pair of c'),
    ('', 'is empty'),
  )
  def test_a_malformed_list_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(text)


if __name__ == '__main__':
  absltest.main()
