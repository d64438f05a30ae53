import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.landmarks import LandmarkList
from facejax.data.preprocessing import TEMPLATE_112
from facejax.errors import DataError, UsageError
from tests import raw_photos

ROW = '69 109 106 113 77 142 73 152 108 154'
POINTS = np.array(ROW.split(), np.float32).reshape(5, 2)
CELEBA = (
  '2\n'
  'lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x '
  'leftmouth_y rightmouth_x rightmouth_y \n'
  f'000001.jpg {ROW}\n'
  '000002.jpg  69 110 107 112  81 135  70 151 108 153\n'
)


def row(points):
  return ' '.join(str(value) for value in np.ravel(points))


class LandmarkListTest(chex.TestCase):
  def write(self, text):
    path = self.create_tempfile(content=text).full_path
    return path

  def read(self, text, **options):
    return LandmarkList(self.write(text), **options)

  @parameterized.parameters(
    f'a.jpg {ROW}',
    f'a.jpg\t{ROW}'.replace(' ', '\t'),
    f'a.jpg {ROW}'.replace(' ', ','),
    f'a.jpg {ROW}'.replace(' ', ', '),
    f'\ufeffa.jpg  {ROW}\r\n\r\n',
    f'# made by hand\na.jpg {ROW}.0\n',
    f'1\na.jpg {ROW}\n',
    f'filename,lx,ly,rx,ry,nx,ny,lmx,lmy,rmx,rmy\na.jpg {ROW}\n',
  )
  def test_forms_of_one_row(self, text):
    found = self.read(text)
    self.assertEqual(list(found.names), ['a.jpg'])
    np.testing.assert_array_equal(found.find('a.jpg'), POINTS)

  def test_celeba_has_two_header_lines(self):
    found = self.read(CELEBA)
    self.assertLen(found, 2)
    np.testing.assert_array_equal(found.find('000002.jpg')[2], [81, 135])

  def test_names_may_hold_blanks_and_commas(self):
    found = self.read(f'my, own photo.jpg, {ROW}\n')
    np.testing.assert_array_equal(found.find('my, own photo.jpg'), POINTS)

  def test_names_that_are_not_utf_8_are_found(self):
    data = b'caf\xe9.jpg ' + ROW.encode()
    path = self.create_tempfile(content=data, mode='wb').full_path
    name = 'caf\udce9.jpg'
    np.testing.assert_array_equal(LandmarkList(path).find(name), POINTS)

  def test_scale_is_of_the_photos(self):
    found = self.read(f'a.jpg {ROW}', scale=0.5)
    np.testing.assert_array_equal(found.find('a.jpg'), POINTS / 2)

  @parameterized.parameters('a.jpg', 'Ann/a.jpg', 'lfw/Ann/a.jpg')
  def test_a_bare_name_serves_whatever_folder_the_photo_is_in(self, path):
    found = self.read(f'b.jpg {ROW}\na.jpg {ROW}\n')
    np.testing.assert_array_equal(found.find(path), POINTS)

  @parameterized.parameters('Ann/1.jpg', 'lfw/Ann/1.jpg', 'x/lfw/Ann/1.jpg')
  def test_folders_that_all_names_share_may_be_missing(self, path):
    found = self.read(f'x/lfw/Ann/1.jpg {ROW}\nx/lfw/Bob/1.jpg {ROW}\n')
    np.testing.assert_array_equal(found.find(path), POINTS)

  def test_the_longest_name_counts(self):
    other = POINTS + 1
    found = self.read(f'1.jpg {row(other)}\nAnn/1.jpg {ROW}\n')
    np.testing.assert_array_equal(found.find('Ann/1.jpg'), POINTS)
    np.testing.assert_array_equal(found.find('Bob/1.jpg'), other)

  @parameterized.parameters('Cid/1.jpg', 'nn/1.jpg', '1.jpg', 'a')
  def test_another_person_with_the_same_file_name_is_no_match(self, path):
    found = self.read(f'Ann/1.jpg {ROW}\nBob/1.jpg {ROW}\n')
    with self.assertRaisesRegex(DataError, 'no landmarks in'):
      found.find(path)

  def test_a_photo_that_is_listed_twice_is_ambiguous(self):
    found = self.read(f'a.jpg {ROW}\na.jpg {ROW}\nb.jpg {ROW}\n')
    with self.assertRaisesRegex(DataError, 'a.jpg is listed 2 times'):
      found.find('a.jpg')
    np.testing.assert_array_equal(found.find('b.jpg'), POINTS)

  def test_names_of_equal_checksum_are_told_apart(self):
    # 'plumless' and 'buckeroo' have the same CRC-32.
    found = self.read(f'plumless {ROW}\nbuckeroo {row(POINTS + 1)}\n')
    np.testing.assert_array_equal(found.find('plumless'), POINTS)
    np.testing.assert_array_equal(found.find('buckeroo'), POINTS + 1)

  @parameterized.parameters(
    ('a.jpg 1 2 3\n', 'line 1: expected a name and 10 numbers'),
    (f'a.jpg {ROW}\nb.jpg {ROW} x\n', 'line 2: expected a name'),
    (f'a.jpg {ROW}\n\nb.jpg 1 2 3 4 5 6 7 8 9 nan\n', 'line 3: a coordinate'),
    (f'a.jpg {ROW} 0.99\n', 'line 1: more than 10 numbers'),
    (f'a.jpg,{ROW},0.99\n'.replace(' ', ','), 'line 1: more than 10 numbers'),
    (f'h\nh\nh\na.jpg {ROW}\n', 'line 3: expected'),
    (f'3\na.jpg {ROW}\n', 'says 3 rows, and it has 1'),
    ('', 'lists no landmarks'),
    ('7\nx y\n', 'lists no landmarks'),
  )
  def test_bad_lists_are_refused_with_their_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(text)

  @parameterized.parameters(
    ((1, 0, 2, 4, 3), 'eye are swapped'),
    ((1, 0, 2, 3, 4), 'eye are swapped'),
    ((0, 1, 2, 4, 3), 'corners of the mouth are swapped'),
    ((3, 4, 2, 0, 1), 'eye are swapped'),
  )
  def test_points_in_another_order_are_refused(self, order, message):
    wrong = row(POINTS[list(order)])
    with self.assertRaisesRegex(DataError, message):
      self.read(f'a.jpg {wrong}\nb.jpg {ROW}\nc.jpg {wrong}\n')

  def test_a_single_odd_face_is_no_reason_to_refuse_a_list(self):
    odd = row(POINTS[[1, 0, 2, 4, 3]])
    self.assertLen(self.read(f'a.jpg {ROW}\nb.jpg {odd}\nc.jpg {ROW}\n'), 3)

  def test_coordinates_that_give_y_first_are_refused(self):
    with self.assertRaisesRegex(DataError, 'x before y'):
      self.read(f'a.jpg {row(np.array(TEMPLATE_112)[:, ::-1])}')

  def test_heads_may_be_turned(self):
    for angle in np.arange(0, 6.3, 0.7):
      c, s = np.cos(angle), np.sin(angle)
      turned = np.array(TEMPLATE_112) @ np.array([[c, s], [-s, c]])
      self.assertLen(self.read(f'a.jpg {row(turned)}'), 1)

  def test_missing_files_and_bad_scales_are_refused(self):
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      LandmarkList('/nowhere/list.txt')
    for scale in (0.0, -1.0, float('inf'), float('nan')):
      with self.assertRaisesRegex(UsageError, 'scale'):
        self.read(f'a.jpg {ROW}', scale=scale)

  def test_real_list_is_read(self):
    if not raw_photos.exist():
      self.skipTest(raw_photos.MISSING)
    found = raw_photos.lfw_landmarks()
    self.assertLen(found, 60)
    points = found.find('Abdullah_al-Attiyah/Abdullah_al-Attiyah_0001.jpg')
    np.testing.assert_allclose(points[0], [98 * 0.6, 113 * 0.6], rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
