"""Feature files as a source: what it gives, and what it lacks."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.data.megaface import write_features
from facejax.errors import DataError
from facejax.evaluation import feature_files
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import Path
from tests.evaluation import faces

NAMES = ('top/A/1.jpg', 'top/A/2.jpg', 'top/B/1.jpg')
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4)


class FeatureFolderSourceTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path

  def source(self, **options):
    write_features(Path(self.root), NAMES, FEATURES, suffix='_net.bin')
    return feature_files.FeatureFolderSource(self.root, **options)

  def test_features_come_in_the_order_asked_without_mirror_images(self):
    source = self.source()
    self.assertIsInstance(source, EmbeddingSource)
    self.assertFalse(source.has_flip)
    found = source.embed(['B/1.jpg', 'top/A/1.jpg'], flip=True)
    self.assertIsNone(found.flip)
    np.testing.assert_array_equal(found.plain, FEATURES[[2, 0]])
    self.assertEqual(found.names, ('B/1.jpg', 'top/A/1.jpg'))
    self.assertSequenceEqual(list(source.names()), NAMES)
    self.assertEqual(source.describe()['feature_suffix'], '_net.bin')

  def test_missing_images_are_named(self):
    source = self.source()
    with self.assertRaisesRegex(DataError, 'has no image A/3.jpg'):
      source.embed(['A/3.jpg'], flip=False)
    with self.assertRaisesRegex(DataError, 'no image was asked for'):
      source.embed([], flip=False)

  def test_pictures_are_known_where_the_images_are_given(self):
    self.assertIsNone(self.source().pictures(NAMES))
    images = faces.write_folder(self.create_tempdir().full_path)
    shown = self.source(images=images).pictures(['P0/P0_0001.jpg'])
    self.assertEqual(shown[0][:2], b'\xff\xd8')

  def test_features_are_told_from_images_by_the_first_file(self):
    images = faces.write_folder(self.create_tempdir().full_path)
    self.source()
    self.assertTrue(feature_files.holds_features(self.root))
    self.assertFalse(feature_files.holds_features(images))


if __name__ == '__main__':
  absltest.main()
