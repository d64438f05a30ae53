"""Closed sets by hand, by loops and on real embeddings."""

import os

import chex
import numpy as np
import pytest
from absl.testing import absltest

from facejax.data.identification_lists import folder_identities
from facejax.data.identification_splits import first_images
from facejax.errors import DataError
from facejax.evaluation.identification.closed_set import (
  closed_set,
  score_histogram,
)
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.modes import unit_features
from facejax.evaluation.sources import SavedSource
from tests.evaluation.naive_ranks import naive_rank

# Directions in a plane: people 0 0 1 1 2 at these angles, in degrees.
ANGLES = np.array([0, 10, 40, 18, 90])
LABELS = np.array([0, 0, 1, 1, 2])
FEATURES = np.stack(
  [np.cos(np.radians(ANGLES)), np.sin(np.radians(ANGLES))], axis=1
).astype(np.float32)


class ClosedSetTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _find_shared(self, request):
    self.get_shared = lambda: request.getfixturevalue('shared')

  def test_a_set_by_hand(self):
    found = closed_set(FEATURES, LABELS, np.array([4, 0, 2]), np.array([1, 3]))
    # 10 degrees is nearest to 0; 18 degrees, of person 1, is nearer to 0, too.
    self.assertEqual(found.matches.ranks.tolist(), [1, 2])
    self.assertEqual(found.wrong(5).tolist(), [1])
    result = found.to_json()
    self.assertEqual(result['rank1'], 0.5)
    self.assertEqual(result['cmc'], [0.5] + 19 * [1.0])
    self.assertEqual(result['interval_95'], list(wilson_interval(0.5, 2)))
    self.assertEqual(
      [result[f'num_{kind}'] for kind in ('probes', 'gallery', 'identities')],
      [2, 3, 3],
    )
    np.testing.assert_allclose(
      found.matches.other_scores, np.cos(np.radians([30, 18])), rtol=1e-6
    )
    curves = found.curves('plain')
    self.assertEqual(curves.cmc['plain'][0], 0.5)
    histogram = curves.histogram['plain']
    self.assertEqual(
      (histogram.genuine.sum(), histogram.impostor.sum()), (2, 2)
    )

  def test_the_clearest_errors_come_first(self):
    probes = np.array([[1, 0.0], [1, 0.0], [1, 0.0]], np.float32)
    gallery = np.array([[0.5, 0], [0.9, 0], [0.1, 0]], np.float32)
    found = closed_set(
      np.concatenate([gallery, probes]),
      np.array([0, 1, 2, 0, 1, 2]),
      np.arange(3),
      np.arange(3, 6),
    )
    self.assertEqual(found.matches.ranks.tolist(), [2, 1, 3])
    self.assertEqual(found.wrong(9).tolist(), [2, 0])
    self.assertEqual(found.wrong(1).tolist(), [2])

  def test_a_gallery_of_one_person_finds_everybody(self):
    found = closed_set(
      FEATURES, np.zeros(5, int), np.array([0, 1]), np.array([2, 3, 4])
    )
    self.assertEqual(found.rank1, 1)
    self.assertEqual(found.curves('x').histogram['x'].impostor.sum(), 0)

  def test_probes_without_a_mate_are_refused(self):
    with self.assertRaisesRegex(DataError, 'image number 4 and 0 others'):
      closed_set(FEATURES, LABELS, np.array([0, 2]), np.array([1, 3, 4]))

  def test_no_image_may_find_itself(self):
    with self.assertRaisesRegex(DataError, 'image number 2 and 0 others'):
      closed_set(FEATURES, LABELS, np.array([0, 2]), np.array([1, 2]))

  def test_no_probes_are_refused(self):
    with self.assertRaisesRegex(DataError, 'no probe images'):
      closed_set(FEATURES, LABELS, np.array([0]), np.array([], np.int64))

  def test_scores_without_a_partner_fall_out_of_histograms(self):
    found = score_histogram(np.array([0.5, -np.inf]), np.array([0.1, 0.2]))
    self.assertEqual((found.genuine.sum(), found.impostor.sum()), (1, 2))

  def test_real_faces_rank_as_in_a_loop(self):
    path = os.path.join(
      self.get_shared(), 'weights', 'xiaoccer_lfw_embeddings_f16.npz'
    )
    source = SavedSource(path)
    names = source.names()
    labels = np.unique(folder_identities(names), return_inverse=True)[1]
    embeddings = source.embed(names, flip=True)
    features = unit_features(embeddings, 'insightface')
    gallery, probes = first_images(labels)
    found = closed_set(features, labels, gallery, probes)
    # Its first images are those that the pairs show, not the first of all.
    self.assertEqual((len(gallery), len(probes)), (4281, 3420))
    some = np.arange(0, len(probes), 40)
    expected = [
      naive_rank(
        features[gallery] @ features[row], labels[row], labels[gallery]
      )
      for row in probes[some]
    ]
    self.assertEqual(found.matches.ranks[some].tolist(), expected)
    scores = features[probes] @ features[gallery].T
    right = labels[gallery][scores.argmax(1)] == labels[probes]
    self.assertEqual(found.rank1, right.mean())
    self.assertGreater(found.rank1, 0.9)


if __name__ == '__main__':
  absltest.main()
