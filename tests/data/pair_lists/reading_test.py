"""Lists are known by what they begin with."""

import os

import chex
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.reading import Form, form_of, read_any_pairs
from facejax.errors import DataError, UsageError
from tests.data.pair_lists.agedb_folds import write_folds
from tests.data.pair_lists.cfp_folders import write_cfp


class ReadingTest(chex.TestCase):
  @parameterized.parameters(
    ('1\nAnn 1 2\nAnn 1 Bob 2\n', Form.LFW),
    ('1\t1\nAnn\t1\t2\nAnn\t1\tBob\t2\n', Form.LFW),
    ('a/1.jpg a/2.jpg 1\na/1.jpg b/1.jpg 0\n', Form.PATHS),
    ('1 a/1.jpg a/2.jpg\n0 a/1.jpg b/1.jpg\n', Form.PATHS),
    ('1.jpg\t2.jpg\t1\n1.jpg\t3.jpg\t-1\n', Form.PATHS),
    ('a_1.jpg 1\na_2.jpg 1\na_1.jpg 0\nb_1.jpg 0\n', Form.IMAGE_LINES),
  )
  def test_text_is_known_by_its_first_line(self, text, form):
    path = self.create_tempfile(content=text).full_path
    self.assertEqual(form_of(path), form)
    pairs = read_any_pairs(path)
    self.assertEqual(pairs.same.tolist(), [True, False])

  def test_folders_and_matlab_files_are_known_as_such(self):
    root = self.create_tempdir().full_path
    protocol = write_cfp(root)
    pairs = read_any_pairs(protocol / 'Split' / 'FF')
    self.assertEqual(pairs.names_b[0], '001/frontal/02.jpg')
    with self.assertRaisesRegex(UsageError, 'Split/FF or Split/FP'):
      read_any_pairs(protocol)
    folds = write_folds(os.path.join(root, 'folds.MAT'), 2)
    self.assertLen(read_any_pairs(folds).same, 8)

  @parameterized.parameters(
    ('a b c d\n', "line 1: expected 'path_a path_b 0|1'"),
    ('one\n', "line 1: expected 'path_a path_b 0|1'"),
  )
  def test_what_has_no_known_form_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      read_any_pairs(self.create_tempfile(content=text).full_path)


if __name__ == '__main__':
  absltest.main()
