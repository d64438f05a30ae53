import collections
import pathlib
import pickle
import tempfile

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies

from facejax.data import mixture, pipeline
from facejax.data.augmentation import Augmentation
from facejax.data.mixture import FaceOrder, MixedFaces, interleave
from facejax.data.preprocessing import Preprocessing
from facejax.data.records import FaceRecords, identities_checksum
from facejax.errors import CheckpointError, UsageError
from tests.preparation.face_sets import write_set

SHARES = strategies.lists(strategies.integers(1, 60), min_size=1, max_size=6)


class InterleaveTest(chex.TestCase):
  def test_one_place_in_three_goes_to_the_first_set(self):
    places = [interleave(position, (1, 2)) for position in range(6)]
    self.assertEqual(places, [(1, 0), (1, 1), (0, 0), (1, 2), (1, 3), (0, 1)])

  @hypothesis.given(SHARES, strategies.integers(0, 10**12))
  @hypothesis.settings(max_examples=100, deadline=None)
  def test_every_cycle_holds_exactly_the_shares(self, shares, cycle):
    total = sum(shares)
    places = [
      interleave(cycle * total + position, shares) for position in range(total)
    ]
    self.assertCountEqual(
      places,
      [
        (number, cycle * share + place)
        for number, share in enumerate(shares)
        for place in range(share)
      ],
    )

  @hypothesis.given(SHARES)
  @hypothesis.settings(max_examples=50, deadline=None)
  def test_sets_go_on_in_order_and_never_stray_from_their_shares(self, shares):
    seen = [0] * len(shares)
    for position in range(2 * sum(shares)):
      number, place = interleave(position, shares)
      self.assertEqual(place, seen[number])
      seen[number] += 1
      for count, share in zip(seen, shares, strict=True):
        due = (position + 1) * share / sum(shares)
        self.assertLess(abs(count - due), len(shares))


class SharesTest(chex.TestCase):
  @parameterized.parameters(
    ((2, 4), (1, 2)),
    ((0.7, 0.3), (7, 3)),
    ((0.1, 1.5, 2), (1, 15, 20)),
    ((1e-05, 1), (1, 100000)),
    ((5.5,), (1,)),
    ((17029, 3465), (17029, 3465)),
  )
  def test_weights_become_whole_numbers_in_lowest_terms(self, weights, shares):
    self.assertEqual(mixture.whole_shares(weights), shares)

  @parameterized.parameters(0, -1, float('nan'), float('inf'))
  def test_a_weight_that_is_not_positive_is_refused(self, weight):
    with self.assertRaisesRegex(UsageError, 'weights.*positive number'):
      mixture.whole_shares((1, weight))


class MixedFacesTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    cls.paths = [
      write_set(root / 'a', {'ann': 3, 'bob': 2}),
      write_set(root / 'b', {'ann': 2, 'cy': 5, 'dan': 4}),
    ]
    cls.sets = [FaceRecords(path) for path in cls.paths]

  def order(self, faces, count, seed=3):
    order = FaceOrder(faces, seed=seed)
    return [order[position] for position in range(count)]

  def test_labels_of_the_second_set_come_after_the_first(self):
    faces = MixedFaces(self.sets)
    self.assertLen(faces, 16)
    self.assertEqual(faces.identities, ['ann', 'bob', 'ann', 'cy', 'dan'])
    self.assertEqual(faces.num_identities, 5)
    records = faces.__getitems__(range(16))
    labels = [0] * 3 + [1] * 2 + [2] * 2 + [3] * 5 + [4] * 4
    self.assertEqual([record['label'] for record in records], labels)
    for label, record in zip(labels, records, strict=True):
      self.assertEqual(
        record['key'].split('/')[0], faces.identities[label], record['key']
      )
    self.assertEqual(records[5]['image'], self.sets[1][0]['image'])

  def test_records_are_in_the_order_asked_for_with_repeats(self):
    faces = MixedFaces(self.sets)
    expected = [faces[index] for index in (15, 0, 5, 15)]
    self.assertEqual(faces.__getitems__(np.array([15, 0, 5, 15])), expected)

  @parameterized.parameters(-1, 16)
  def test_an_index_out_of_range_is_an_index_error(self, index):
    with self.assertRaisesRegex(IndexError, f'record {index} of 16'):
      MixedFaces(self.sets)[index]

  def test_a_pickled_copy_reads_the_same(self):
    faces = MixedFaces(self.sets, (3, 1))
    copy = pickle.loads(pickle.dumps(faces))
    self.assertEqual(copy[9], faces[9])
    self.assertEqual(self.order(copy, 20), self.order(faces, 20))

  def test_checksums_tell_the_sets_apart(self):
    faces = MixedFaces(self.sets)
    self.assertEqual(
      faces.checksums,
      {f'0/{k}': v for k, v in self.sets[0].checksums.items()}
      | {f'1/{k}': v for k, v in self.sets[1].checksums.items()},
    )
    self.assertEqual(
      faces.identities_checksum,
      identities_checksum(['ann', 'bob', 'ann', 'cy', 'dan']),
    )
    self.assertEqual(faces.shared_names, ['ann'])

  @parameterized.parameters((None,), ((2, 1),), ((1, 9),))
  def test_every_epoch_of_each_set_shows_each_image_once(self, weights):
    faces = MixedFaces(self.sets, weights)
    seen = collections.defaultdict(list)
    for index in self.order(faces, 400):
      seen[int(index >= 5)].append(index)
    for images, order in ((range(5), seen[0]), (range(5, 16), seen[1])):
      epochs = [
        order[start : start + len(images)]
        for start in range(0, len(order) - len(images), len(images))
      ]
      for epoch in epochs:
        self.assertCountEqual(epoch, images)
      self.assertGreater(len({tuple(epoch) for epoch in epochs}), 1)

  def test_weights_are_shares_of_images(self):
    for weights, first in ((None, 50), ((3, 1), 120), ((0.25, 0.75), 40)):
      order = self.order(MixedFaces(self.sets, weights), 160)
      self.assertEqual(sum(index < 5 for index in order), first)

  def test_one_set_is_seen_as_it_would_be_alone(self):
    alone = self.order(self.sets[0], 40)
    self.assertEqual(self.order(MixedFaces(self.sets[:1]), 40), alone)
    mixed = self.order(MixedFaces(self.sets), 128)
    self.assertEqual([index for index in mixed if index < 5], alone)

  def test_the_order_can_be_entered_anywhere(self):
    order = FaceOrder(MixedFaces(self.sets, (1, 2)), seed=0)
    far = 33 * 10**12
    seen = [order[position] for position in range(far, far + 33)]
    self.assertCountEqual(
      [index for index in seen if index >= 5], [*range(5, 16)] * 2
    )

  def test_sets_of_one_size_are_shuffled_differently(self):
    faces = MixedFaces([self.sets[1], self.sets[1]])
    order = self.order(faces, 22)
    self.assertNotEqual(
      [index for index in order if index < 11],
      [index - 11 for index in order if index >= 11],
    )

  @parameterized.parameters(1, 2, 4)
  def test_hosts_share_the_batches_of_the_whole(self, count):
    faces = MixedFaces(self.sets, (3, 2))
    whole = self.order(faces, 8 * 6)
    batches = []
    for process in range(count):
      iterator = pipeline.make_pipeline(
        faces,
        batch_size=8,
        seed=3,
        preprocessing=Preprocessing(),
        augmentation=Augmentation(),
        start_step=2,
        process_index=process,
        process_count=count,
      )
      batches.append(
        np.concatenate([next(iterator)['index'] for _ in range(4)])
      )
      iterator.close()
    np.testing.assert_array_equal(np.stack(batches, 1).ravel(), whole[16:])

  def test_resuming_with_other_weights_is_refused_by_both(self):
    def position(weights, sets=self.sets):
      return pipeline.make_position(
        MixedFaces(sets, weights), step=1, seed=0, batch_size=8
      )

    pipeline.check_position(position((3, 1)), position((6, 2)))
    with self.assertRaisesRegex(
      CheckpointError, r'weights was \[3, 1\] and is \[1, 1\]'
    ):
      pipeline.check_position(position((3, 1)), position((1, 1)))
    with self.assertRaisesRegex(CheckpointError, 'not the same'):
      pipeline.check_position(
        position((1, 1)), position((1, 1), self.sets[::-1])
      )

  def test_one_weight_for_each_set_is_needed(self):
    with self.assertRaisesRegex(UsageError, '1 weights for 2 sets'):
      MixedFaces(self.sets, (1,))
    with self.assertRaisesRegex(UsageError, 'one set or more'):
      MixedFaces([])

  def test_one_path_opens_as_it_is_and_two_are_mixed(self):
    self.assertIsInstance(mixture.open_faces(self.paths[:1]), FaceRecords)
    faces = mixture.open_faces(self.paths, (2, 6))
    self.assertEqual(faces.weights, (1, 3))
    self.assertEqual(mixture.open_faces(self.paths).weights, (5, 11))


if __name__ == '__main__':
  absltest.main()
