"""Feature files of the devkit: bytes by hand, damage, whole folders."""

import os
import struct

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import megaface
from facejax.data.archives import open_archive
from facejax.errors import DataError, UsageError
from facejax.files import Path

# Three values: rows 3, columns 1, 4 bytes a row, type 5; then 1, -2 and 0.5.
BYTES = bytes.fromhex(
  '03000000 01000000 04000000 05000000 0000803f 000000c0 0000003f'
)


class FeatureFileTest(parameterized.TestCase):
  def test_the_bytes_are_those_of_the_devkit(self):
    feature = np.array([1, -2, 0.5], np.float32)
    self.assertEqual(megaface.encode_feature(feature), BYTES)
    found = megaface.decode_feature(BYTES, 'f')
    self.assertEqual(found.dtype, np.float32)
    np.testing.assert_array_equal(found, feature)

  @parameterized.named_parameters(
    ('no_header', BYTES[:15], 'has 15 bytes'),
    ('cut_short', BYTES[:-1], '27 bytes, where 3 values need 28'),
    ('too_long', BYTES + b'\0', '29 bytes, where 3 values need 28'),
    ('empty', struct.pack('<4i', 0, 1, 4, 5), 'begins with 0, 1, 4, 5'),
    ('a_row', struct.pack('<4i', 1, 3, 12, 5) + BYTES[16:], '1, 3, 12, 5'),
    ('doubles', struct.pack('<4i', 3, 1, 8, 6) + BYTES[16:], '3, 1, 8, 6'),
    ('negative', struct.pack('<4i', -3, 1, 4, 5) + BYTES[16:], '-3, 1, 4, 5'),
    ('big_endian', struct.pack('>4i', 3, 1, 4, 5) + BYTES[16:], '50331648'),
    ('no_feature_at_all', b'\xff\xd8\xff\xe0' + bytes(100), 'begins with'),
    (
      'not_finite',
      BYTES[:16] + struct.pack('<3f', 1, np.nan, 0),
      'not finite',
    ),
  )
  def test_damage_is_named_with_the_file(self, data, message):
    with self.assertRaisesRegex(DataError, f'^a/b.bin: .*{message}'):
      megaface.decode_feature(data, 'a/b.bin')


class FeatureFolderTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path

  def write(self, names, suffix='_net.bin', dimension=4):
    features = np.arange(len(names) * dimension, dtype=np.float32)
    features = features.reshape(-1, dimension)
    megaface.write_features(Path(self.root), names, features, suffix=suffix)
    return features

  def test_a_folder_is_read_as_it_was_written_in_any_order(self):
    names = [f'{i % 7}/{i:04d}.jpg' for i in range(200)]
    features = self.write(names)
    archive = open_archive(self.root)
    found, suffix = megaface.find_features(archive.names(), where='set')
    self.assertEqual(suffix, '_net.bin')
    self.assertSequenceEqual(list(found), sorted(names))
    read = megaface.read_features(
      archive, names[::-1], suffix=suffix, where='set'
    )
    np.testing.assert_array_equal(read, features[::-1])

  @parameterized.parameters(
    ('A/A_1.png_my_net.bin', 'A/A_1.png', '_my_net.bin'),
    ('0/a.jpg_0.jpg_net.bin', '0/a.jpg_0.jpg', '_net.bin'),
    ('A/A_1_net.bin', 'A/A_1', '_net.bin'),
    ('A/face.bin', 'A/face', '.bin'),
  )
  def test_the_ending_is_what_stands_behind_the_image(self, name, image, end):
    found, suffix = megaface.find_features([name], where='set')
    self.assertEqual((list(found), suffix), ([image], end))

  def test_of_several_algorithms_one_must_be_chosen(self):
    names = ['A/1.jpg_x.bin', 'A/1.jpg_y.bin', 'list.txt', '.z/1.jpg_z.bin']
    with self.assertRaisesRegex(UsageError, r'_x\.bin .*_y\.bin.*suffix=_x'):
      megaface.find_features(names, where='set')
    found, _ = megaface.find_features(names, where='set', suffix='_y.bin')
    self.assertSequenceEqual(list(found), ['A/1.jpg'])
    with self.assertRaisesRegex(DataError, r'set has no file \*_w\.bin'):
      megaface.find_features(names, where='set', suffix='_w.bin')

  def test_a_file_of_another_dimension_is_named(self):
    self.write(['a.jpg', 'b.jpg'])
    self.write(['c.jpg'], dimension=5)
    with self.assertRaisesRegex(DataError, 'set/c.jpg_net.bin: has 5 values'):
      megaface.read_features(
        open_archive(self.root),
        ['a.jpg', 'b.jpg', 'c.jpg'],
        suffix='_net.bin',
        where='set',
      )

  def test_a_file_cut_short_is_named(self):
    self.write(['a.jpg', 'b.jpg'])
    os.truncate(os.path.join(self.root, 'b.jpg_net.bin'), 20)
    with self.assertRaisesRegex(DataError, 'set/b.jpg_net.bin: has 20 bytes'):
      megaface.read_features(
        open_archive(self.root),
        ['a.jpg', 'b.jpg'],
        suffix='_net.bin',
        where='set',
      )

  def test_nothing_is_written_outside_the_folder(self):
    for name in ('../a.jpg', '/a.jpg'):
      with self.assertRaisesRegex(DataError, 'unsafe'):
        self.write([name])


if __name__ == '__main__':
  absltest.main()
