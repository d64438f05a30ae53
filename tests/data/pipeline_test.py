import itertools
import pathlib
import tempfile

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data import pipeline
from facejax.data.augmentation import Augmentation
from facejax.data.preprocessing import Preprocessing
from facejax.data.records import FaceRecords
from facejax.data.synthetic import SyntheticFaces
from facejax.errors import CheckpointError, DataError, UsageError
from tests.preparation.face_sets import draw, write_set

ALL_CHANGES = Augmentation(shift=4, warp=0.5, color=0.5, occlusion=0.5)


class ListSource:
  """Ready pixels: image i is full of the value i."""

  def __init__(self, count):
    self.count = count

  def __repr__(self):
    return f'ListSource({self.count})'

  def __len__(self):
    return self.count

  def __getitem__(self, index):
    image = np.full((112, 112, 3), index, np.uint8)
    return {'image': image, 'label': index // 2, 'key': f'image_{index}'}


class OneImageSource(ListSource):
  """The same image, whatever the index."""

  def __init__(self, image):
    super().__init__(1)
    self.image = image

  def __getitem__(self, index):
    return {'image': self.image, 'label': 0, 'key': 'ann/1.jpg'}


def take(source, count, **options):
  """The first `count` batches."""
  defaults = {
    'batch_size': 4,
    'seed': 3,
    'preprocessing': Preprocessing(image_size=(56, 48), crop=(112, 96)),
    'augmentation': ALL_CHANGES,
  }
  iterator = pipeline.make_pipeline(source, **(defaults | options))
  try:
    return list(itertools.islice(iterator, count))
  finally:
    iterator.close()


class PipelineTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    cls.records = FaceRecords(write_set(root, {'ann': 5, 'bob': 4, 'cy': 4}))

  def assert_batches_equal(self, actual, expected):
    self.assertLen(actual, len(expected))
    for one, other in zip(actual, expected, strict=True):
      chex.assert_trees_all_equal(one, other)

  def test_batch_has_the_promised_shapes_and_types(self):
    (batch,) = take(self.records, 1)
    chex.assert_shape(batch['image'], (4, 56, 48, 3))
    chex.assert_shape([batch['label'], batch['index']], (4,))
    dtypes = {name: str(value.dtype) for name, value in batch.items()}
    self.assertEqual(
      dtypes, {'image': 'uint8', 'label': 'int32', 'index': 'int64'}
    )

  def test_pixels_and_labels_belong_to_the_index(self):
    for batch in take(
      ListSource(20),
      6,
      augmentation=Augmentation(mirror=0),
      preprocessing=Preprocessing(),
    ):
      np.testing.assert_array_equal(batch['label'], batch['index'] // 2)
      np.testing.assert_array_equal(
        batch['image'],
        np.broadcast_to(batch['index'][:, None, None, None], (4, 112, 112, 3)),
      )

  def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(self):
    batches = take(ListSource(10), 5)  # two epochs
    order = np.concatenate([batch['index'] for batch in batches])
    first, second = order[:10], order[10:]
    self.assertCountEqual(first, range(10))
    self.assertCountEqual(second, range(10))
    self.assertFalse(np.array_equal(first, second))
    self.assertFalse(np.array_equal(first, np.arange(10)))

  def test_the_order_is_the_one_of_runs_that_were_begun_before(self):
    # Across the end of the first epoch; with another one they could not go on.
    batches = take(ListSource(40), 2, start_step=9)
    order = np.concatenate([b['index'] for b in batches]).tolist()
    self.assertEqual(order, [9, 20, 33, 34, 5, 26, 10, 39])

  def test_another_seed_gives_another_order(self):
    orders = [
      np.concatenate([b['index'] for b in take(ListSource(40), 8, seed=seed)])
      for seed in (3, 4)
    ]
    self.assertFalse(np.array_equal(*orders))

  @parameterized.parameters(1, 3, 9)
  def test_start_step_continues_exactly(self, step):
    whole = take(self.records, 11)
    self.assert_batches_equal(
      take(self.records, 11 - step, start_step=step), whole[step:]
    )

  @parameterized.parameters(1, 2, 4)
  def test_processes_share_the_same_global_batches(self, count):
    whole = take(self.records, 8)
    for process in range(count):
      part = take(
        self.records,
        6,
        start_step=2,
        process_index=process,
        process_count=count,
      )
      for batch, expected in zip(part, whole[2:], strict=True):
        chex.assert_trees_all_equal(
          batch, {k: v[process::count] for k, v in expected.items()}
        )

  def test_same_image_is_changed_differently_every_time(self):
    batches = take(OneImageSource(draw(0)), 3)
    images = np.concatenate([batch['image'] for batch in batches])
    self.assertLen({image.tobytes() for image in images}, 12)

  def test_synthetic_faces_are_a_source(self):
    faces = SyntheticFaces(3, 2, seed=1)
    (batch,) = take(
      faces,
      1,
      augmentation=Augmentation(mirror=0),
      preprocessing=Preprocessing(),
    )
    for row, index in enumerate(batch['index']):
      face = faces[int(index)]
      self.assertEqual(batch['label'][row], face['label'])
      np.testing.assert_array_equal(batch['image'][row], face['image'])

  @pytest.mark.slow
  def test_worker_processes_give_the_same_batches(self):
    whole = take(self.records, 7)
    self.assert_batches_equal(take(self.records, 7, num_workers=2), whole)
    self.assert_batches_equal(
      take(self.records, 4, num_workers=2, start_step=3), whole[3:]
    )

  @pytest.mark.slow
  def test_error_in_a_worker_is_the_same_data_error(self):
    with self.assertRaisesRegex(DataError, 'ann/1.jpg'):
      take(OneImageSource(b'no image'), 1, num_workers=1)

  @parameterized.parameters(
    (b'no image', 'no readable'),
    (draw(0)[:96], r'\[96, 112, 3\].*112x112'),
  )
  def test_bad_record_is_named(self, image, message):
    with self.assertRaisesRegex(
      DataError, rf'ListSource\(1\): record 0: ann/1.jpg: .*{message}'
    ):
      take(OneImageSource(image), 1)

  @parameterized.parameters(
    ({'batch_size': 6, 'process_count': 4}, '6 does not divide over 4'),
    ({'batch_size': 0}, 'batch_size 0'),
    ({'process_index': 2, 'process_count': 2}, 'process 2 of 2'),
    ({'seed': -1}, 'seed -1'),
    ({'seed': 2**32}, 'seed 4294967296'),
    ({'start_step': -1}, 'start_step -1'),
    ({'num_workers': -1}, 'num_workers -1'),
  )
  def test_settings_that_do_not_fit_are_refused(self, options, message):
    with self.assertRaisesRegex(UsageError, message):
      take(self.records, 1, **options)

  def test_empty_source_is_refused(self):
    with self.assertRaisesRegex(DataError, 'empty'):
      take(ListSource(0), 1)


class PositionTest(chex.TestCase):
  def position(self, source=None, **values):
    options = {'step': 7, 'seed': 1, 'batch_size': 8} | values
    return pipeline.make_position(source or SyntheticFaces(4, 5), **options)

  def test_equal_positions_pass(self):
    pipeline.check_position(self.position(), self.position())

  def test_position_has_the_checksums_of_prepared_data(self):
    with tempfile.TemporaryDirectory() as root:
      records = FaceRecords(write_set(pathlib.Path(root), {'ann': 2}))
      position = self.position(records)
    self.assertEqual(position['checksums'], records.checksums)

  @parameterized.parameters(
    ({'step': 8}, 'step was 7 and is 8'),
    ({'seed': 2}, 'seed was 1 and is 2'),
    ({'batch_size': 16}, 'batch_size was 8 and is 16'),
    ({'source': SyntheticFaces(4, 6)}, 'training data are not the same'),
  )
  def test_differences_are_named(self, values, message):
    with self.assertRaisesRegex(CheckpointError, message):
      pipeline.check_position(self.position(), self.position(**values))


if __name__ == '__main__':
  absltest.main()
