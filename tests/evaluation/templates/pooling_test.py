"""Templates from embeddings: the letters N, D and F, media and videos."""

from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.templates import pooling as templates
from facejax.evaluation.templates.pooling import TemplateRule, make_templates
from tests.evaluation.protocols.ijb_files import naive_templates

PLAIN = TemplateRule(detector_score=False, mirror=False)


def embeddings(plain, flip=None):
  plain = np.asarray(plain, np.float32)
  return Embeddings(tuple(f'{i}.jpg' for i in range(len(plain))), plain, flip)


def pool(plain, numbers, media, scores=None, rule=PLAIN, flip=None):
  scores = np.ones(len(plain)) if scores is None else np.array(scores)
  return make_templates(
    embeddings(plain, flip), np.array(numbers), np.array(media), scores, rule
  )


class TemplateRuleTest(chex.TestCase):
  def test_names_go_both_ways(self):
    for name in ('N0D0F0', 'N1D0F1', 'N0D1F1', 'N1D1F1'):
      self.assertEqual(TemplateRule.parse(name).name, name)
    self.assertEqual(TemplateRule().name, 'N1D1F1')

  def test_ijb_evals_means_the_opposite_by_n(self):
    self.assertEqual(TemplateRule().ijb_evals_name, 'N0D1F1')
    self.assertEqual(TemplateRule.parse('N0D1F0').ijb_evals_name, 'N1D1F0')

  @parameterized.parameters('', 'N1', 'n1d1f1', 'N1D1F2', 'N1D1F1 ', 'N2D1F1')
  def test_other_names_are_refused(self, name):
    with self.assertRaisesRegex(UsageError, 'use N0 or N1'):
      TemplateRule.parse(name)


class MakeTemplatesTest(chex.TestCase):
  def test_a_video_counts_as_much_as_a_photo(self):
    # Frames (4, 0) and (0, 4) of one video, photo (2, 4): sum (4, 6).
    _, found = pool([[4, 0], [0, 4], [2, 4]], [7, 7, 7], [1, 1, 2])
    np.testing.assert_allclose(found, [[4 / 52**0.5, 6 / 52**0.5]], rtol=1e-6)

  def test_n0_takes_the_norm_away_before_all_else(self):
    rule = TemplateRule.parse('N0D1F0')
    # Unit vectors times scores: (1, 0) * 0.5 + (0, 1) * 1.
    _, found = pool([[8, 0], [0, 2]], [1, 1], [1, 2], [0.5, 1.0], rule)
    np.testing.assert_allclose(found, [[0.2**0.5, 0.8**0.5]], rtol=1e-6)
    kept = pool(
      [[8, 0], [0, 2]], [1, 1], [1, 2], [0.5, 1.0], TemplateRule.parse('N1D1F0')
    )[1]
    np.testing.assert_allclose(kept, [[0.8**0.5, 0.2**0.5]], rtol=1e-6)

  def test_f1_adds_the_mirror_image_before_the_norm_is_taken_away(self):
    flip = np.array([[0, 2], [0, 1]], np.float32)
    rule = TemplateRule.parse('N0D0F1')
    _, found = pool([[2, 0], [0, 3]], [1, 1], [1, 2], None, rule, flip)
    expected = np.array([0.5**0.5, 0.5**0.5 + 1])
    np.testing.assert_allclose(
      found[0], expected / np.linalg.norm(expected), rtol=1e-6
    )

  def test_a_medium_shared_by_templates_is_averaged_in_each(self):
    numbers, found = pool([[1, 0], [0, 1], [3, 0]], [5, 2, 5], [9, 9, 9])
    self.assertEqual(numbers.tolist(), [2, 5])
    np.testing.assert_allclose(found, [[0, 1], [1, 0]])

  def test_a_template_of_zeros_stays_zero(self):
    for rule in (PLAIN, TemplateRule.parse('N0D0F0')):
      _, found = pool([[0, 0], [3, 4]], [1, 2], [1, 2], None, rule)
      np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8]], rtol=1e-6)

  @parameterized.product(
    name=('N1D1F1', 'N0D1F0', 'N1D0F1', 'N0D0F0'), block=(1 << 14, 7)
  )
  def test_agrees_with_loops(self, name, block):
    rng = np.random.default_rng(3)
    count = 60
    plain, flip = rng.normal(size=(2, count, 5)).astype(np.float32)
    numbers, media = rng.integers(0, 9, count) * 11, rng.integers(0, 6, count)
    scores = rng.uniform(0.1, 1, count).astype(np.float32)
    rule = TemplateRule.parse(name)
    features = plain.astype(np.float64) + (flip if rule.mirror else 0)
    if not rule.keep_norm:
      features /= np.linalg.norm(features, axis=1, keepdims=True)
    if rule.detector_score:
      features *= scores[:, None]
    images = list(
      zip(range(count), numbers.tolist(), media.tolist(), scores, strict=True)
    )
    expected = naive_templates(images, features)
    with mock.patch.object(templates, '_BLOCK', block):
      found_numbers, found = pool(plain, numbers, media, scores, rule, flip)
    self.assertEqual(found_numbers.tolist(), sorted(expected))
    self.assertEqual(found.dtype, np.float32)
    np.testing.assert_allclose(
      found, [expected[n] for n in found_numbers], atol=1e-6
    )

  def test_an_embedding_that_is_not_finite_names_its_image(self):
    with self.assertRaisesRegex(DataError, 'image 1.jpg is not finite'):
      pool([[1, 0], [np.nan, 1]], [1, 1], [1, 2])

  def test_f1_needs_mirror_images(self):
    with self.assertRaisesRegex(UsageError, 'N1D1F0 --mode=plain'):
      pool([[1.0, 0.0]], [1], [1], rule=TemplateRule())


if __name__ == '__main__':
  absltest.main()
