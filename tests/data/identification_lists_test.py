"""Gallery and probe lists, and lines that do not fit."""

import os

import chex
from absl.testing import absltest, parameterized

from facejax.data import identification_lists as lists
from facejax.errors import DataError


class IdentificationListsTest(chex.TestCase):
  def write(self, text, name='gallery.txt'):
    path = os.path.join(self.create_tempdir().full_path, name)
    with open(path, 'w', newline='') as file:
      file.write(text)
    return path

  def test_both_forms_of_a_line_are_read(self):
    found = lists.read_identity_list(
      self.write(
        '\ufefftop/Ann/Ann_0001.jpg\r\n\r\n./x/1.jpg Bob\r\n'
        'two words/photo 1.jpg\tAnn\n'
      )
    )
    self.assertEqual(
      found.names, ('top/Ann/Ann_0001.jpg', 'x/1.jpg', 'two words/photo 1.jpg')
    )
    self.assertEqual(found.identities, ('Ann', 'Bob', 'Ann'))

  @parameterized.parameters(
    ('a/1.jpg\n1.jpg\n', 'line 2: image 1.jpg lies in no folder'),
    ('a/1.jpg b c\n', "line 1: expected 'path identity'.*found 'a/1.jpg b c'"),
    ('a/1.jpg\t\tb\n', 'line 1: expected'),
    ('my face/1.jpg\n', 'line 1: the identity face/1.jpg looks like a path'),
    ('a/1.jpg\n./a/1.jpg x\n', 'line 2: a/1.jpg stands there already'),
    (' \n\n', 'empty'),
  )
  def test_what_does_not_fit_is_refused_with_its_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      lists.read_identity_list(self.write(text))

  def test_a_missing_list_is_named(self):
    with self.assertRaisesRegex(DataError, 'nowhere.txt'):
      lists.read_identity_list('nowhere.txt')

  def test_no_image_may_be_looked_up_in_itself(self):
    gallery = self.write('a/1.jpg\nb/1.jpg\n')
    probes = self.write('a/2.jpg\nb/1.jpg\n', 'probes.txt')
    with self.assertRaisesRegex(DataError, 'probes.txt: b/1.jpg and 0 others'):
      lists.read_gallery_and_probes(gallery, probes)

  def test_the_folder_is_the_identity(self):
    self.assertEqual(
      lists.folder_identities(['lfw_112/Ann/1.jpg', 'Bob/2.jpg']),
      ['Ann', 'Bob'],
    )
    with self.assertRaisesRegex(DataError, '0000000 lies in no folder'):
      lists.folder_identities(['Bob/2.jpg', '0000000'])


if __name__ == '__main__':
  absltest.main()
