"""Two-stage search of a closed set, against one written probe by probe."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from facejax.evaluation.identification.closed_set import closed_set
from facejax.evaluation.two_stage import search
from facejax.evaluation.two_stage.result import STAGES
from facejax.search import scan
from tests.evaluation import naive_two_stage as naive
from tests.evaluation.two_stage.small_faces import small_faces


class SearchTest(chex.TestCase):
  @parameterized.product(seed=[0, 1, 2], kind=STAGES)
  def test_every_number_of_candidates_gives_what_spec_5_says(self, seed, kind):
    features, logits, labels, gallery, probes = faces = small_faces(seed)
    found = search.search_closed_set(*faces, candidates=3)
    count = len(gallery)
    recall, first, strict = np.zeros((3, count))
    places, alone = [], np.zeros(2)
    for probe in probes:
      is_mate = labels[gallery] == labels[probe]
      order, merits = naive.first_stage(kind, logits[probe], logits[gallery])
      places.append(1 + min(order.index(m) for m in np.flatnonzero(is_mate)))
      best_other = max(np.array(merits)[~is_mate])
      alone += max(np.array(merits)[is_mate]) > best_other, is_mate[order[0]]
      for c in range(1, count + 1):
        args = features[probe], features[gallery], order[:c]
        recall[c - 1] += is_mate[order[:c]].any()
        first[c - 1] += is_mate[naive.second_stage(*args)]
        strict[c - 1] += naive.is_right_strictly(*args, is_mate)
    shares = found.shares.by_stage[kind]
    for actual, expected in (
      (shares.recall, recall),
      (shares.two_stage, strict),
      (shares.two_stage_lower_row, first),
      ([shares.rank1, shares.rank1_lower_row], alone),
    ):
      np.testing.assert_allclose(actual, np.array(expected) / len(probes))
    np.testing.assert_array_equal(found.answers[kind].places, places)
    # The cases hold ties, or they would say nothing of their rules.
    self.assertFalse(np.array_equal(first, strict))

  @parameterized.parameters(*STAGES)
  def test_answers_are_those_of_the_search_itself(self, kind):
    faces = small_faces()
    found = search.search_closed_set(*faces, candidates=4)
    searched = search.as_searched(*faces)
    if kind == 'hamming':
      packed = search.pack_codes(searched.probe_logits)
      _, rows = scan.top_hamming(packed, searched.codes, 4)
    else:
      _, rows = scan.top_asymmetric(searched.probe_logits, searched.codes, 4)
    scores, answers = scan.rank_candidates(
      searched.probes, searched.vectors, rows, 1
    )
    np.testing.assert_array_equal(found.answers[kind].rows, answers[:, 0])
    np.testing.assert_array_equal(found.answers[kind].scores, scores[:, 0])

  def test_the_whole_gallery_as_candidates_is_float_search_exactly(self):
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(40), 3)
    features = rng.normal(size=(40, 16))[labels]
    features += rng.normal(size=features.shape)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    features = features.astype(np.float32)
    # Rows 3 and 4 are of one person, 6 to 8 of another: they tie to the bit.
    features[4] = features[6:9] = features[3]
    logits = (features @ rng.normal(size=(16, 24))).astype(np.float32)
    gallery = np.arange(0, 120, 3)
    probes = np.setdiff1d(np.arange(120), gallery)
    found = search.search_closed_set(features, logits, labels, gallery, probes)
    self.assertEqual(found.candidates, 40)  # of 100, as many as there are
    self.assertTrue(found.equals_float_search)
    other = closed_set(features, labels, gallery, probes)
    self.assertEqual(found.shares.rank1, other.rank1)
    for shares in found.shares.by_stage.values():
      self.assertEqual(shares.recall[-1], 1)
      self.assertEqual(shares.two_stage[-1], found.shares.rank1)
      self.assertEqual(
        shares.two_stage_lower_row[-1], found.shares.rank1_lower_row
      )
      self.assertTrue((shares.two_stage <= shares.recall).all())
      self.assertTrue((np.diff(shares.recall) >= 0).all())
    # Probes 4 and 5 are told the lower of two equal rows, which is their own.
    self.assertAlmostEqual(
      found.shares.rank1_lower_row - found.shares.rank1, 2 / 80
    )

  def test_blocks_of_probes_change_nothing(self):
    faces = small_faces()
    whole = search.search_closed_set(*faces, radius=1)
    with absltest.mock.patch.object(search, '_BLOCK', 21):  # two probes
      parts = search.search_closed_set(*faces, radius=1)
    chex.assert_trees_all_equal(whole.shares, parts.shares)
    chex.assert_trees_all_equal(whole.answers, parts.answers)
    chex.assert_trees_all_equal(whole.radius, parts.radius)
    np.testing.assert_array_equal(whole.mates, parts.mates)

  @parameterized.parameters(0, 1, 3, 8)
  def test_a_radius_with_nobody_in_it_falls_back_to_float_search(self, radius):
    features, logits, labels, gallery, probes = faces = small_faces()
    found = search.search_closed_set(*faces, radius=radius).radius
    counts, first, strict = [], 0, 0
    for probe in probes:
      distances = [naive.hamming(logits[probe], logits[row]) for row in gallery]
      rows = [row for row, d in enumerate(distances) if d <= radius]
      counts.append(len(rows))
      args = features[probe], features[gallery], rows or range(len(gallery))
      is_mate = labels[gallery] == labels[probe]
      first += is_mate[naive.second_stage(*args)]
      strict += naive.is_right_strictly(*args, is_mate)
    np.testing.assert_array_equal(found.counts, counts)
    self.assertAlmostEqual(found.rank1, strict / len(probes))
    self.assertAlmostEqual(found.rank1_lower_row, first / len(probes))
    values = found.to_json()
    self.assertEqual(values['num_empty_sets'], counts.count(0))
    self.assertEqual(values['max_candidates'], max(counts))
    self.assertAlmostEqual(values['mean_candidates'], np.mean(counts))

  def test_what_the_codes_lose_comes_first(self):
    # Two people; the second probe is found by floats and lost by its code.
    features = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)
    logits = np.ones((4, 8), np.float32)
    logits[1] = -1
    labels = np.array([0, 1, 0, 0])
    logits[3] = -1
    found = search.search_closed_set(
      features, logits, labels, np.array([0, 1]), np.array([2, 3]), candidates=1
    )
    # By floats probe 0 is wrong and probe 1 right; by codes the other way.
    np.testing.assert_array_equal(found.float_right, [False, True])
    answers = found.answers['hamming']
    np.testing.assert_array_equal(answers.right, [True, False])
    np.testing.assert_array_equal(answers.rows, [0, 1])
    np.testing.assert_array_equal(found.mates, [0, 0])
    np.testing.assert_array_equal(found.lost(12), [1])

  def test_what_is_no_closed_set_is_refused(self):
    features, logits, labels, gallery, probes = small_faces()
    with self.assertRaisesRegex(DataError, 'find themselves'):
      search.search_closed_set(
        features, logits, labels, gallery, np.append(probes, gallery[0])
      )
    with self.assertRaisesRegex(DataError, 'closed set has no such probes'):
      search.search_closed_set(features, logits, labels, gallery[2:], probes)


if __name__ == '__main__':
  absltest.main()
