"""The list files of IJB: what is read, and what is refused with its line."""

import os

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.ijb import read_template_faces
from facejax.data.ijb_set import IJBC, choose_tasks, read_lists
from facejax.data.ijb_tables import (
  read_template_pairs,
  read_template_subjects,
)
from facejax.errors import DataError, UsageError
from facejax.files import Path

MEDIA = '1.jpg 1 69544\n2.jpg 1 3720\n3.jpg 25 3720\n'
POINTS = ''.join(
  f'{i}.jpg 46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 '
  f'86.450 98.648 0.99{i}\n'
  for i in (1, 2, 3)
)
PAIRS = '1 25 1\n25 1 0\n'
HEADER = 'TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID\n'


class IjbTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path

  def write(self, name, text):
    path = os.path.join(self.root, name)
    data = text if isinstance(text, bytes) else text.encode()
    Path(path).write_bytes(data)
    return path

  def faces(self, media=MEDIA, points=POINTS):
    return read_template_faces(
      self.write('media.txt', media), self.write('points.txt', points)
    )


class FacesTest(IjbTestCase):
  def test_rows_are_read(self):
    found = self.faces()
    self.assertEqual(list(found.names), ['1.jpg', '2.jpg', '3.jpg'])
    self.assertEqual(found.templates.tolist(), [1, 1, 25])
    self.assertEqual(found.media.tolist(), [69544, 3720, 3720])
    np.testing.assert_allclose(found.landmarks[0, 0], [46.06, 62.026])
    np.testing.assert_allclose(found.landmarks[2, 4], [86.45, 98.648])
    np.testing.assert_allclose(found.detector_scores, [0.991, 0.992, 0.993])

  def test_blank_lines_tabs_and_crlf_are_no_matter(self):
    media = '\ufeff' + MEDIA.replace(' ', '\t').replace('\n', '\r\n\r\n')
    found = self.faces(media, '\n' + POINTS.replace('\n', '\r\n'))
    self.assertEqual(found.templates.tolist(), [1, 1, 25])

  @parameterized.parameters(
    ('1.jpg 1\n', 'line 1: expected .image template media.'),
    (MEDIA + '4.jpg 1 2 3\n', 'line 4: expected'),
    (MEDIA + '\n4.jpg x 2\n', 'line 5: expected .* found .4.jpg x 2.'),
    ('1.jpg 1 -2\n', 'line 1: expected'),
    ('1.jpg 1.5 2\n', 'line 1: expected'),
    ('1.jpg 1 99999999999\n', 'line 1: expected'),
    ('', 'media.txt: lists no images'),
    (b'1.jpg 1 2\n\xff.jpg 1 2\n', 'line 2: is no UTF-8'),
    (MEDIA[:14], 'media.txt lists 1 images and .*points.txt 3'),
    (MEDIA.replace('2.jpg', '9.jpg'), 'image 2 is 2.jpg, in .* it is 9.jpg'),
  )
  def test_bad_lists_of_media_say_where(self, media, message):
    with self.assertRaisesRegex(DataError, message):
      self.faces(media)

  @parameterized.parameters(
    ('1.jpg 1 2 3 4 5 6 7 8 9 10\n', 'line 1: expected .image x1 y1'),
    (POINTS + '4.jpg 1 2 3 4 5 6 7 8 9 10 11 12\n', 'line 4: expected'),
    ('1.jpg 1 2 3 4 five 6 7 8 9 10 1\n', 'line 1: expected'),
    ('1.jpg 1 2 3 4 nan 6 7 8 9 10 1\n', 'line 1: expected'),
    ('1.jpg 1 2 3 4 5 6 7 8 9 10 -1\n', 'line 1: a detector score of -1'),
    ('', 'points.txt: lists no images'),
  )
  def test_bad_lists_of_landmarks_say_where(self, points, message):
    with self.assertRaisesRegex(DataError, message):
      self.faces(points=points)

  def test_an_image_listed_twice_and_a_missing_file_are_refused(self):
    twice = [t.replace('2.jpg', '1.jpg') for t in (MEDIA, POINTS)]
    with self.assertRaisesRegex(DataError, 'image 1.jpg is listed twice'):
      self.faces(*twice)
    with self.assertRaisesRegex(DataError, 'none.txt: the list cannot be read'):
      read_template_faces(os.path.join(self.root, 'none.txt'), 'other.txt')


class PairsTest(IjbTestCase):
  def read(self, text):
    return read_template_pairs(self.write('pairs.txt', text))

  def test_pairs_are_read_whatever_ends_a_line(self):
    for text in (PAIRS, PAIRS.replace('\n', '\r\n'), '\n' + PAIRS + '\n\n'):
      found = self.read(text)
      self.assertEqual(found.first.tolist(), [1, 25])
      self.assertEqual(found.second.tolist(), [25, 1])
      self.assertEqual(found.same.tolist(), [True, False])
      self.assertEqual(found.first.dtype, np.int32)

  @parameterized.parameters(
    (PAIRS + '1 2\n', 'line 3: expected .template template 0|1.'),
    (PAIRS + '\n1 2 3 4\n', 'line 4: expected'),
    ('1 2\n3 4\n', 'line 1: expected'),
    ('1 2 1 0\n3 4 1 0\n', 'line 1: expected'),
    (PAIRS + '1 x 0\n', "line 3: expected .* found '1 x 0'"),
    (PAIRS + '1 2.0 0\n', 'line 3: expected'),
    (PAIRS + '\n1 2 2\n', "line 4: expected .* found '1 2 2'"),
    (PAIRS + '1 2 -1\n', 'line 3: expected'),
    ('-5 2 1\n', 'line 1: expected'),
    ('1 99999999999 1\n', 'line 1: expected'),
    ('1,2,1\n', 'line 1: expected'),
    ('', 'pairs.txt: has no rows'),
    (b'1 2 1\n\xff\xfe 2 1\n', 'line 2: is no UTF-8'),
  )
  def test_bad_pairs_say_their_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(text)

  def test_a_missing_file_is_refused(self):
    with self.assertRaisesRegex(DataError, 'none: cannot be read'):
      read_template_pairs(os.path.join(self.root, 'none'))


class SubjectsTest(IjbTestCase):
  def read(self, rows, header=HEADER):
    return read_template_subjects(self.write('g.csv', header + rows))

  def test_a_template_of_several_images_stands_there_once(self):
    found = self.read('9,4,img/1.png,3\n9,4,"a, b.png",\n2,7,x.png,1\n')
    self.assertEqual(found.templates.tolist(), [2, 9])
    self.assertEqual(found.subjects.tolist(), [7, 4])

  def test_crlf_blank_lines_and_quotes_are_no_matter(self):
    found = self.read('"9","4",x\r\n\r\n2,7,y\r\n', HEADER.strip() + '\r\n')
    self.assertEqual(found.subjects.tolist(), [7, 4])

  @parameterized.parameters(
    ('9,4,x\n8\n', "line 3: expected .template,subject,.* found '8'"),
    ('9,4,x\nnine,4,x\n', 'line 3: expected'),
    ('9,-4,x\n', 'line 2: expected'),
    ('9,4,x\n9,5,y\n', 'line 3: template 9 shows subject 5, and 4 before'),
    ('', 'g.csv: has no rows'),
  )
  def test_bad_rows_say_their_line(self, rows, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(rows)


class SetTest(IjbTestCase):
  def write_set(self, **changes):
    texts = {
      'face_tid_mid.txt': ''.join(f'{i}.jpg {i} {i}\n' for i in range(1, 5)),
      'name_5pts_score.txt': ''.join(
        POINTS.split('\n')[0].replace('1.jpg', f'{i}.jpg') + '\n'
        for i in range(1, 5)
      ),
      'template_pair_label.txt': '1 3 1\n2 3 0\n2 4 1\n',
      '1N_gallery_G1.csv': HEADER + '1,50,x\n',
      '1N_gallery_G2.csv': HEADER + '2,60,x\n',
      '1N_probe_mixed.csv': HEADER + '4,60,x\n3,50,x\n',
    } | {key.replace('__', '.'): text for key, text in changes.items()}
    for kind, text in texts.items():
      if text is not None:
        self.write(f'ijbc_{kind}', text)
    return Path(self.root)

  def test_lists_are_matched(self):
    lists = read_lists(IJBC, self.write_set(), ('1:1', '1:N'))
    self.assertEqual(lists.numbers.tolist(), [1, 2, 3, 4])
    self.assertEqual(
      [rows.tolist() for rows in lists.pair_rows], [[0, 1, 1], [2, 2, 3]]
    )
    self.assertEqual(
      [rows.tolist() for rows in lists.search_rows], [[0], [1], [2, 3]]
    )
    self.assertEqual(lists.mates.tolist(), [0, 1])

  @parameterized.parameters(
    (
      {'template_pair_label__txt': '1 3 1\n2 7 0\n'},
      'pair_label.txt: no image belongs to template 7',
    ),
    (
      {'1N_gallery_G2__csv': HEADER + '8,60,x\n'},
      'G2.csv: no image belongs to template 8',
    ),
    (
      {'1N_gallery_G2__csv': HEADER + '2,50,x\n'},
      'subject 50 has several templates',
    ),
    (
      {'1N_probe_mixed__csv': HEADER + '4,70,x\n3,50,x\n'},
      'probe template 4 shows subject 70, who is in neither',
    ),
    (
      {'1N_probe_mixed__csv': HEADER + '3,50,x\n'},
      'all probes show people of one gallery',
    ),
  )
  def test_lists_that_do_not_fit_each_other_are_refused(self, texts, message):
    folder = self.write_set(**texts)
    with self.assertRaisesRegex(DataError, message):
      read_lists(IJBC, folder, ('1:1', '1:N'))

  def test_tasks_are_those_whose_lists_are_there(self):
    folder = self.write_set()
    self.assertEqual(choose_tasks(IJBC, folder, None), ('1:1', '1:N'))
    self.assertEqual(choose_tasks(IJBC, folder, '1:N'), ('1:N',))
    self.assertEqual(choose_tasks(IJBC, folder, 'both'), ('1:1', '1:N'))
    (folder / 'ijbc_template_pair_label.txt').unlink()
    self.assertEqual(choose_tasks(IJBC, folder, None), ('1:N',))
    with self.assertRaisesRegex(UsageError, "task '2:1'"):
      choose_tasks(IJBC, folder, '2:1')


if __name__ == '__main__':
  absltest.main()
