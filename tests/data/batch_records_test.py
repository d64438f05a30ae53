import pathlib
import tempfile

import chex
from absl.testing import parameterized

from facejax.data import pipeline
from facejax.data.mixture import MixedFaces
from facejax.data.records import FaceRecords
from facejax.data.synthetic import SyntheticFaces
from tests.data.pipeline_test import OneImageSource, take
from tests.preparation.face_sets import write_set


class BatchRecordsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    cls.sets = [
      FaceRecords(write_set(root / name, people))
      for name, people in (('a', {'ann': 3, 'bob': 2}), ('b', {'cy': 4}))
    ]

  @parameterized.parameters(0, 1, 7)
  def test_they_are_those_of_the_batch_in_its_order(self, step):
    for source in (self.sets[0], MixedFaces(self.sets), SyntheticFaces(3, 2)):
      (batch,) = take(source, 1, start_step=step)
      found = pipeline.batch_records(source, step=step, batch_size=4, seed=3)
      indices, keys, labels = zip(*found, strict=True)
      self.assertSequenceEqual(indices, batch['index'].tolist())
      self.assertSequenceEqual(labels, batch['label'].tolist())
      self.assertSequenceEqual(keys, [source[i]['key'] for i in indices])

  def test_keys_name_person_and_file(self):
    found = pipeline.batch_records(self.sets[1], step=0, batch_size=4, seed=3)
    self.assertEqual({key.split('/')[0] for _, key, _ in found}, {'cy'})
    self.assertLen({key for _, key, _ in found}, 4)

  def test_images_are_not_decoded(self):
    source = OneImageSource(b'no image')
    self.assertEqual(
      pipeline.batch_records(source, step=5, batch_size=2, seed=0),
      [(0, 'ann/1.jpg', 0)] * 2,
    )
