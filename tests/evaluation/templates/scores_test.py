"""Scores of listed pairs, block by block."""

from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.evaluation.templates import scores as template_scores
from facejax.evaluation.templates.scores import pair_scores, score_blocks


class TemplateScoresTest(chex.TestCase):
  @parameterized.parameters('sorted', 'shuffled', 'one pair')
  def test_every_pair_gets_its_inner_product(self, order):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 8)).astype(np.float32)
    # Some templates stand in no pair, some pairs stand there twice.
    first, second = rng.integers(3, 41, 300), rng.integers(5, 50, 300)
    if order == 'sorted':
      first = np.sort(first)
    if order == 'one pair':
      first, second = first[:1], second[:1]
    with mock.patch.object(template_scores, '_ROWS', 16):
      scores = pair_scores(
        features, first.astype(np.int32), second.astype(np.int32)
      )
    expected = (features[first].astype(np.float64) * features[second]).sum(1)
    self.assertEqual(scores.dtype, np.float32)
    np.testing.assert_allclose(scores, expected, atol=1e-5)

  @parameterized.parameters(1, 15, 16, 17, 48)
  def test_blocks_cover_all_queries_once(self, count):
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(count, 4)).astype(np.float32)
    gallery = rng.normal(size=(5, 4)).astype(np.float32)
    with mock.patch.object(template_scores, '_ROWS', 16):
      parts = list(score_blocks(queries, gallery, desc='testing'))
    self.assertEqual([start for start, _ in parts], list(range(0, count, 16)))
    np.testing.assert_allclose(
      np.concatenate([block for _, block in parts]),
      queries @ gallery.T,
      atol=1e-5,
    )


if __name__ == '__main__':
  absltest.main()
