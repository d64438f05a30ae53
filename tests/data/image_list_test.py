import os
import pathlib
import tempfile

import chex
from absl.testing import absltest, parameterized

from facejax.data.image_list import read_image_list
from facejax.errors import DataError
from tests.conftest import SHARED
from tests.data.remote_files import remote_files


class ImageListTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def read(self, text, name='list.txt'):
    path = self.root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_image_list(path)

  def assert_list(self, found, paths, identities, labels):
    self.assertEqual(found.paths, paths)
    self.assertEqual(found.identities, identities)
    self.assertEqual(found.labels.tolist(), labels)
    self.assertLen(found, len(paths))

  def test_blanks_or_a_tab_separate_path_and_identity(self):
    self.assert_list(
      self.read('b.jpg  bob\na/1.jpg\tann lee\n\n# none\n./my pic.jpg\tbob\n'),
      ['b.jpg', 'a/1.jpg', 'my pic.jpg'],
      ['ann lee', 'bob'],
      [1, 0, 1],
    )

  def test_byte_order_mark_and_windows_line_ends_are_no_part_of_a_name(self):
    self.assert_list(
      self.read(b'\xef\xbb\xbfa.jpg x\r\nb.jpg y\r\n'),
      ['a.jpg', 'b.jpg'],
      ['x', 'y'],
      [0, 1],
    )

  def test_numbers_of_im2rec_become_names_that_sort_as_they_do(self):
    self.assert_list(
      self.read('7\t10.000000\tx/1.jpg\n2\t9\tb b/2.jpg\n9\t10\t0.5\t3.jpg\n'),
      ['x/1.jpg', 'b b/2.jpg', '3.jpg'],
      ['0000009', '0000010'],
      [1, 0, 1],
    )

  def test_identities_of_celeba_are_names_as_they_stand(self):
    self.assert_list(
      self.read('186900.jpg 7220\n000001.jpg 12\n'),
      ['186900.jpg', '000001.jpg'],
      ['12', '7220'],
      [1, 0],
    )

  @parameterized.parameters(
    ('a.jpg ann\na.jpg\n', 'line 2: expected'),
    ('\n# x\na b c\n', "line 3: has 3 fields: expected 'path identity'"),
    ('a b.jpg ann\n', 'line 1: has 3 fields'),
    ('a.jpg,ann\n', 'line 1: expected'),
    ('1\tann\ta.jpg\n', 'line 1: has 3 fields'),
    ('1\t0\ta.jpg\nb.jpg 0\n', 'line 2: is of another form'),
    ('1\t0.5\ta.jpg\n', 'line 1: the label 0.5 is no whole number'),
    ('1\t-1\ta.jpg\n', 'line 1: the label -1'),
    ('1\t1e99\ta.jpg\n', 'line 1: the label 1e99'),
    ('1\tnan\ta.jpg\n', 'line 1: has 3 fields'),
    ('a.jpg\t\n \ta.jpg', 'line 1'),
    ('../a.jpg ann\n', 'line 1: .*leads out'),
    ('a.jpg x\nb.jpg x\n\na.jpg x\n', 'line 4: a.jpg stands already in line 1'),
    (b'a.jpg x\n\xff.jpg x\n', 'line 2: is no UTF-8'),
    ('# nothing\n', 'names no image'),
  )
  def test_bad_line_is_named(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(text)

  def test_missing_file_and_folder_are_refused(self):
    for path in (self.root / 'nothing', self.root):
      with self.assertRaisesRegex(DataError, 'is not a file'):
        read_image_list(path)

  def test_list_in_a_bucket_is_read(self):
    (self.root / 'list.txt').write_text('a.jpg ann\n')
    with remote_files(self.root) as url:
      self.assertEqual(read_image_list(f'{url}/list.txt').paths, ['a.jpg'])


class RealListTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')

  def test_celeba_names_ten_people_with_four_images_each(self):
    found = read_image_list(f'{SHARED}/faces/raw_sample/celeba_identity.txt')
    self.assertLen(found, 40)
    self.assertLen(found.identities, 10)
    self.assertEqual(
      [found.labels.tolist().count(k) for k in range(10)], [4] * 10
    )

  def test_list_of_im2rec_names_its_eight_images(self):
    found = read_image_list(f'{SHARED}/recordio/adaface_8faces/train.lst')
    self.assertLen(found, 8)
    self.assertEqual(found.paths[0], 'man/man_1.jpg')
    for path, label in zip(found.paths, found.labels, strict=True):
      expected = int(path.startswith('woman'))
      self.assertEqual(found.identities[label], f'{expected:07d}')


if __name__ == '__main__':
  absltest.main()
