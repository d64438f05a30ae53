"""Open sets by hand and by loops."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.identification.open_set import open_set
from facejax.evaluation.intervals import wilson_interval
from tests.evaluation.naive_ranks import naive_dir_at_far, naive_rank


def faces(seed, *, people=30, images=4, size=16):
  """Features around a centre for each person, unit norm."""
  rng = np.random.default_rng(seed)
  labels = np.repeat(np.arange(people), images)
  centres = rng.normal(size=(people, size))
  features = centres[labels] + 0.7 * rng.normal(size=(len(labels), size))
  features /= np.linalg.norm(features, axis=1, keepdims=True)
  return features.astype(np.float32), labels


class OpenSetTest(chex.TestCase):
  def test_a_set_by_hand(self):
    # Angles: gallery 0 and 90 degrees; genuine 10, 50 (of 0) and 80 (of 90);
    # impostors 30 and 45.
    angles = np.radians([0, 90, 10, 50, 80, 30, 45])
    features = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    labels = np.array([0, 1, 0, 0, 1, 7, 8])
    found = open_set(
      features, labels, np.array([0, 1]), np.arange(2, 7), fars=[0.5, 1]
    )
    self.assertEqual(found.matches.ranks.tolist(), [1, 2, 1, 0, 0])
    result = found.to_json()
    # At most one alarm: the threshold is the second impostor's, cos 45.
    self.assertAlmostEqual(result['thresholds']['5e-1'], 0.5**0.5, places=6)
    self.assertEqual(result['dir_at_far'], {'5e-1': 2 / 3, '1e0': 2 / 3})
    self.assertEqual(result['rank1'], 2 / 3)
    self.assertEqual(result['smallest_far'], 0.5)
    self.assertEqual(
      result['dir_interval_95']['5e-1'], list(wilson_interval(2 / 3, 3))
    )
    self.assertEqual(
      [result[f'num_{kind}'] for kind in ('genuine', 'impostors', 'gallery')],
      [3, 2, 2],
    )
    # The impostor of 30 degrees scores higher than the probe of 50 degrees
    # with somebody else.
    self.assertEqual(found.wrong(9).tolist(), [3, 1, 4])

  @parameterized.parameters(1, 3)
  def test_rates_are_those_of_a_loop(self, enrolled):
    features, labels = faces(enrolled)
    order = np.arange(len(labels)) % 4
    gallery = np.flatnonzero((labels < 12) & (order < enrolled))
    probes = np.setdiff1d(np.arange(len(labels)), gallery)
    found = open_set(features, labels, gallery, probes)
    self.assertEqual(list(found.points), [0.1])
    genuine, places, impostor = [], [], []
    for row in probes:
      scores = features[gallery] @ features[row]
      rank = naive_rank(scores, labels[row], labels[gallery])
      if rank:
        genuine.append(scores[labels[gallery] == labels[row]].max())
        places.append(rank)
      else:
        impostor.append(scores.max())
    expected = naive_dir_at_far(genuine, places, impostor, 0.1, 1)
    np.testing.assert_allclose(found.points[0.1], expected, rtol=1e-5)
    curve = found.curves('x').dir['x']
    self.assertEqual(curve.num_impostors, len(impostor))
    self.assertAlmostEqual(curve.dir[-1], found.rank1)
    self.assertEqual(
      found.curves('x').histogram['x'].impostor.sum(), len(impostor)
    )

  def test_the_histogram_marks_one_percent_where_it_is_resolved(self):
    features, labels = faces(5, people=60)
    gallery = np.arange(0, 40, 4)
    probes = np.setdiff1d(np.arange(len(labels)), gallery)
    found = open_set(features, labels, gallery, probes)
    self.assertEqual(
      found.curves('x').histogram['x'].threshold, found.points[0.01].threshold
    )
    few = open_set(features, labels, gallery, probes[:90])
    self.assertIsNone(few.curves('x').histogram['x'].threshold)

  def test_finer_rates_than_the_impostors_show_are_refused(self):
    features, labels = faces(6, people=4)
    with self.assertRaisesRegex(UsageError, '0.001 cannot be read from 8'):
      open_set(
        features, labels, np.array([0, 4]), np.arange(6, 16), fars=[1e-3]
      )

  @parameterized.parameters(
    ([1, 2], 'none of the 2 probes is impostor'),
    ([8, 9], 'none of the 2 probes is genuine'),
    ([0, 9], 'image number 0'),
    ([], 'none of the 0 probes'),
  )
  def test_probes_of_one_kind_are_refused(self, probes, message):
    features, labels = faces(7, people=4)
    with self.assertRaisesRegex(DataError, message):
      open_set(features, labels, np.array([0, 4]), np.array(probes, np.int64))


if __name__ == '__main__':
  absltest.main()
