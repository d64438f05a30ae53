"""Photos that are aligned on their way to the model."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.data.images import decode_image
from facejax.errors import DataError
from facejax.evaluation import held_source, sources
from facejax.evaluation.embeddings import SavedSource
from facejax.evaluation.templates.aligned_source import AlignedSource
from tests.evaluation import faces
from tests.evaluation.protocols.ijb_files import Ijb


class AlignedSourceTest(chex.TestCase):
  def test_it_satisfies_the_contract_and_can_be_kept(self):
    written = Ijb(self.create_tempdir().full_path)
    names = [name for name, _, _, _ in written.images]
    landmarks = np.stack([written.landmarks[name] for name in names])
    source = AlignedSource(
      faces.PixelModel(), written.root, names, landmarks, batch_size=5
    )
    self.assertIsInstance(source, sources.EmbeddingSource)
    self.assertEqual(source.names(), sorted(names))
    self.assertIsNone(source.pair_list())
    self.assertEqual(
      source.describe()['preprocessing']['image_size'], (112, 112)
    )
    path = written.path('kept.npz')
    kept = held_source.KeepingSource(source, path).embed(names[3:10], flip=True)
    crops = np.stack(
      [decode_image(x, 'x') for x in source.pictures(names[3:10])]
    )
    model = faces.PixelModel()
    expected = model.embed(crops, normalize=False)
    self.assertGreater(
      np.corrcoef(kept.plain.ravel(), expected.ravel())[0, 1], 0.999
    )
    saved = SavedSource(path).embed(names[3:10], flip=True)
    np.testing.assert_array_equal(saved.flip, kept.flip)
    with self.assertRaisesRegex(DataError, 'has no image 999.png'):
      source.embed(['999.png'], flip=False)


if __name__ == '__main__':
  absltest.main()
