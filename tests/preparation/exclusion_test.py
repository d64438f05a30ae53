import pathlib
import tempfile

import chex
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from facejax.preparation.exclusion import Exclusion, read_exclusion


class ExclusionTest(chex.TestCase):
  @parameterized.parameters(
    ('Ann Lee', True),
    ('Ann', False),
    ('ann lee', False),
    ('Ann Lee/2.jpg', True),
    ('train/Ann Lee/2.jpg', True),
    ('in/train/Ann Lee/2.jpg', False),
    ('Lee/2.jpg', False),
    ('2.jpg', False),
    ('train', False),
    ('Ann Lee/12.jpg', False),
  )
  def test_entry_is_an_identity_or_the_end_of_a_path(self, entry, expected):
    exclusion = Exclusion([entry])
    path = 'train/Ann Lee/2.jpg'
    self.assertEqual(exclusion.excludes('Ann Lee', path), expected)
    self.assertEqual(exclusion.unmatched, [] if expected else [entry])

  def test_images_of_a_list_are_called_by_identity_and_file(self):
    exclusion = Exclusion(['ann/1.jpg', 'img/2.jpg'])
    self.assertTrue(exclusion.excludes('ann', 'img/1.jpg'))
    self.assertTrue(exclusion.excludes('ann', 'img/2.jpg'))
    self.assertFalse(exclusion.excludes('bob', 'img/1.jpg'))

  def test_counts_say_how_many_files_each_entry_took(self):
    exclusion = Exclusion(['ann', 'bob/1.jpg', 'nobody'])
    for path in ('ann/1.jpg', 'ann/2.jpg', 'bob/1.jpg', 'bob/2.jpg'):
      exclusion.excludes(path.split('/')[0], path)
    self.assertEqual(exclusion.counts, {'ann': 2, 'bob/1.jpg': 1, 'nobody': 0})
    self.assertEqual(exclusion.unmatched, ['nobody'])

  def test_blank_lines_comments_and_line_ends_are_skipped(self):
    with tempfile.TemporaryDirectory() as root:
      path = pathlib.Path(root) / 'list.txt'
      path.write_bytes(b'\xef\xbb\xbfann\r\n\r\n# a note\n  bob/ \nc#d')
      self.assertEqual(
        list(read_exclusion([path]).counts), ['ann', 'bob', 'c#d']
      )
      other = pathlib.Path(root) / 'other.txt'
      other.write_text('dan\nann\n')
      both = read_exclusion([path, other])
      self.assertEqual(list(both.counts), ['ann', 'bob', 'c#d', 'dan'])

  def test_missing_list_folder_and_binary_file_are_refused(self):
    with tempfile.TemporaryDirectory() as root:
      binary = pathlib.Path(root) / 'list.bin'
      binary.write_bytes(b'\xff\xfe\xff')
      for path in (pathlib.Path(root), pathlib.Path(root) / 'no', binary):
        with self.assertRaises(DataError):
          read_exclusion([path])


if __name__ == '__main__':
  absltest.main()
