"""The answer "unknown": hand-computed thresholds, and the rate that is met."""

import os

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.search import unknown
from facejax.search.index import FaceIndex
from facejax.search.results import Probes
from facejax.search.unknown import Calibration
from tests.search import small_index

SCORES = np.arange(1000, 0, -1).astype(np.float32)  # 1000 .. 1


def calibration(people=100, scores=SCORES):
  return Calibration(people, 3 * people, {'cosine': scores})


class ThresholdTest(chex.TestCase):
  @parameterized.parameters(
    (100, 0.01, 990.0),  # as calibrated: 10 of 1,000 exceed it
    (100, 0.001, 999.0),
    (200, 0.01, 995.0),  # 1 - 0.99 ** 0.5 = 0.0050: 5 of them
    (1000, 0.01, 999.0),  # 1 - 0.99 ** 0.1 = 0.0010
    (50, 0.01, 981.0),  # 1 - 0.99 ** 2 = 0.0199
    (10, 0.5, 1.0),  # 1 - 2 ** -10: 999 of them
  )
  def test_the_share_that_exceeds_is_that_of_the_formula(
    self, people, fpir, wanted
  ):
    found = unknown.threshold_at(calibration(), 'cosine', fpir, people=people)
    self.assertEqual(found, wanted)
    rate = unknown.rate_at(calibration(), 'cosine', found, people)
    self.assertLessEqual(rate, fpir * (1 + 1e-6))

  def test_a_rate_that_cannot_be_told_is_refused_with_the_least(self):
    with self.assertRaisesRegex(UsageError, '1,?000 probes.*rate is 0.001;'):
      unknown.threshold_at(calibration(), 'cosine', 5e-4, people=100)
    # Ten times the people: 1 - 0.999 ** 10.
    with self.assertRaisesRegex(UsageError, 'rate is 0.01;'):
      unknown.threshold_at(calibration(), 'cosine', 5e-3, people=1000)
    self.assertAlmostEqual(
      unknown.smallest_rate(1000, 1000, 100), 1 - 0.999**10, places=12
    )
    one = calibration(scores=SCORES[:1])
    with self.assertRaisesRegex(UsageError, 'rate is 1;'):
      unknown.threshold_at(one, 'cosine', 0.5, people=100)

  @parameterized.parameters(0.0, 1.0, -0.1, 2.0, float('nan'))
  def test_no_rate_is_refused(self, fpir):
    with self.assertRaisesRegex(UsageError, 'above 0 and below 1'):
      unknown.threshold_at(calibration(), 'cosine', fpir, people=100)

  def test_equal_scores_are_not_exceeded(self):
    scores = np.full(1000, 0.5, np.float32)
    found = unknown.threshold_at(
      calibration(scores=scores), 'cosine', 0.1, people=100
    )
    self.assertEqual(found, 0.5)

  def test_a_damaged_calibration_is_refused(self):
    good = calibration()
    content, about = good.to_bytes(), good.about()
    again = unknown.read_calibration(about, content)
    self.assertEqual(again.people, 100)
    np.testing.assert_array_equal(again.scores['cosine'], SCORES)
    for change in (
      {'probes': 999},
      {'kinds': ['cosine', 'hamming']},
      {'kinds': ['x']},
      {'people': 0},
      {'people': None},
    ):
      with self.assertRaisesRegex(DataError, 'calibrate again'):
        unknown.read_calibration(about | change, content)


class RateTest(chex.TestCase):
  """Random faces, for which the assumption of the formula is true."""

  SIZE, SMALL, LARGE = 24, 300, 3000

  def faces(self, count, seed):
    return small_index.unit_vectors(count, seed=seed, size=self.SIZE)

  def test_the_rate_is_met_at_ten_times_the_gallery(self):
    path = os.path.join(self.create_tempdir().full_path, 'index')
    rows = self.faces(self.LARGE, 0)
    names = [str(i) for i in range(self.LARGE)]
    index = FaceIndex.create(
      path, bits=0, embedding_size=self.SIZE, vectors='float32'
    )
    self.addCleanup(index.close)
    few = slice(self.SMALL)
    index.add(names[few], names[few], None, rows[few])
    index.calibrate(Probes(self.faces(4000, 1)))
    thresholds = [index.threshold_at(0.1)]
    more = slice(self.SMALL, None)
    index.add(names[more], names[more], None, rows[more])
    strangers = self.faces(2000, 2)
    found = index.search(Probes(strangers), fpir=0.1, top_k=1)
    self.assertEqual(found.threshold, index.threshold_at(0.1))
    self.assertGreater(found.threshold, thresholds[0] + 0.03)
    # Deviation: 0.007 of the probes, and 0.015 of 42 above the calibration.
    self.assertBetween(float(np.mean(~found.unknown)), 0.05, 0.16)
    # The threshold of the small gallery would let most of them in.
    above = float(np.mean(found.scores[:, 0] > thresholds[0]))
    self.assertGreater(above, 0.4)
    mates = index.search(Probes(rows[:50]), fpir=0.1, top_k=1)
    self.assertFalse(mates.unknown.any())


class CalibratedIndexTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'index')
    self.index = small_index.create(self.path, 60)
    self.addCleanup(self.index.close)

  def test_every_kind_of_score_has_its_thresholds_and_readers_see_them(self):
    strangers = small_index.probes(small_index.unit_vectors(200, seed=3))
    self.index.calibrate(strangers)
    reader = FaceIndex.open(self.path)
    self.assertEqual(
      list(reader.calibration.scores), ['cosine', 'hamming', 'asymmetric']
    )
    self.assertEqual(reader.calibration.people, 20)
    for method in ('two_stage', 'hamming', 'asymmetric', 'float'):
      found = reader.search(strangers, method=method, fpir=0.1)
      self.assertEqual(found.threshold, reader.threshold_at(0.1, method=method))
      self.assertLessEqual((~found.unknown).sum(), 20)
      self.assertGreater((~found.unknown).sum(), 5)
    # Strangers are calibrated anew, and the old file goes.
    few = small_index.probes(small_index.unit_vectors(5, seed=4))
    self.index.calibrate(few)
    with self.assertRaisesRegex(UsageError, '5 probes of strangers'):
      self.index.search(strangers, fpir=0.1)
    self.assertTrue(reader.refresh())
    self.assertLen(reader.calibration.scores['cosine'], 5)
    files = [n for n in os.listdir(self.path) if n.startswith('calibration')]
    self.assertLen(files, 1)
    self.index.check()

  def test_nobody_to_calibrate_with_or_against_is_refused(self):
    none = small_index.probes(small_index.unit_vectors(0))
    with self.assertRaisesRegex(UsageError, '0 probes, 60 templates'):
      self.index.calibrate(none)
    self.index.remove(people=list(self.index.snapshot.people))
    with self.assertRaisesRegex(UsageError, '3 probes, 0 templates'):
      self.index.calibrate(
        small_index.probes(small_index.unit_vectors(3, seed=3))
      )

  def test_an_empty_index_knows_nobody(self):
    strangers = small_index.probes(small_index.unit_vectors(20, seed=3))
    self.index.calibrate(strangers)
    self.index.remove(people=list(self.index.snapshot.people))
    found = self.index.search(strangers, fpir=0.1)
    self.assertTrue(found.unknown.all())


if __name__ == '__main__':
  absltest.main()
