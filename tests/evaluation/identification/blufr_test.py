"""BLUFR as its paper reads, in whole matrices of scores."""

import os

import chex
import numpy as np
from absl.testing import absltest

from facejax.data.identification_splits import Split
from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.held_source import HeldSource
from facejax.evaluation.identification.blufr import blufr, check_trials
from facejax.evaluation.protocols import all_pairs
from facejax.evaluation.protocols.blufr_trials import TrialsOnImages
from tests.data import blufr_files

NUM_PEOPLE, TRIALS = 90, 3
# One image of a third of the people, up to six of the others.
LABELS = np.repeat(np.arange(NUM_PEOPLE), np.resize([1, 4, 6], NUM_PEOPLE))
DRAWN = blufr_files.draw_trials(
  LABELS, trials=TRIALS, people=70, enrolled=20, seed=1
)
SPLITS = [Split(gallery, probes) for _, gallery, probes in DRAWN]
NAMES = [f'P{label:02d}_{row:04d}.jpg' for row, label in enumerate(LABELS)]


def make_features(noise=0.8):
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(NUM_PEOPLE, 16))
  features = centres[LABELS] + noise * rng.normal(size=(len(LABELS), 16))
  features /= np.linalg.norm(features, axis=1, keepdims=True)
  return features.astype(np.float32)


def naive_threshold(impostors, far):
  """The lowest score that few enough impostors pass."""
  for threshold in sorted(impostors):
    if (impostors > threshold).mean() <= far:
      return threshold


def naive_trial(scores, far_of_pairs, far_of_probes):
  """TAR and DIR of each trial."""
  tars, dirs = [], []
  for test, gallery, probes in DRAWN:
    first, second = np.triu_indices(len(test), 1)
    pairs = scores[test[first], test[second]]
    same = LABELS[test[first]] == LABELS[test[second]]
    threshold = naive_threshold(pairs[~same], far_of_pairs)
    tars.append((pairs[same] > threshold).mean())
    found = scores[np.ix_(probes, gallery)]
    mate = LABELS[probes][:, None] == LABELS[gallery][None, :]
    genuine = mate.any(1)
    threshold = naive_threshold(found[~genuine].max(1), far_of_probes)
    right = mate[np.arange(len(probes)), found.argmax(1)]
    dirs.append((right & (found.max(1) > threshold))[genuine].mean())
  return tars, dirs


class BlufrTest(chex.TestCase):
  def test_rates_are_those_of_whole_matrices(self):
    features = make_features()
    scores = (features @ features.T).astype(np.float32)
    found = blufr(features, LABELS, SPLITS)
    self.assertEqual(list(found['tar_at_far']), ['1e-3', '1e-4'])
    self.assertEqual(list(found['dir_at_far']), ['1e-2'])
    self.assertEqual(found['num_trials'], TRIALS)
    tars, dirs = naive_trial(scores, 1e-3, 1e-2)
    for rate, expected in (
      (found['tar_at_far']['1e-3'], tars),
      (found['dir_at_far']['1e-2'], dirs),
    ):
      self.assertBetween(np.mean(expected), 0.2, 0.9)
      np.testing.assert_allclose(rate['of_trials'], expected)
      mean = sum(expected) / TRIALS
      std = (sum((x - mean) ** 2 for x in expected) / (TRIALS - 1)) ** 0.5
      self.assertAlmostEqual(rate['mean'], mean)
      self.assertAlmostEqual(rate['std'], std)
      self.assertAlmostEqual(rate['mean_minus_std'], mean - std)
    for trial, (test, gallery, probes) in enumerate(DRAWN):
      others = LABELS[test][:, None] != LABELS[test][None, :]
      self.assertEqual(
        found['impostor_pairs_of_trials'][trial], others.sum() // 2
      )
      self.assertEqual(
        found['impostor_probes_of_trials'][trial],
        (~np.isin(LABELS[probes], LABELS[gallery])).sum(),
      )

  def test_a_single_trial_has_no_deviation(self):
    rate = blufr(make_features(), LABELS, SPLITS[:1])['tar_at_far']['1e-3']
    self.assertIsNone(rate['std'])
    self.assertIsNone(rate['mean_minus_std'])

  def test_trials_too_small_for_the_rates_are_refused(self):
    small = Split(SPLITS[1].gallery, SPLITS[1].probes[:40])
    with self.assertRaisesRegex(UsageError, 'impostor pairs .* trial 2 has'):
      check_trials(
        LABELS[:60],
        [
          Split(np.arange(2), np.arange(2, 60)),
          *[Split(np.arange(2), np.arange(2, 40))],
        ],
      )
    with self.assertRaisesRegex(UsageError, '100 impostor probes .* trial 2'):
      check_trials(LABELS, [SPLITS[0], small])


class ProtocolTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.features = make_features()
    self.names = [f'lfw/{name[:3]}/{name}' for name in NAMES]
    self.path = self.write(NAMES, LABELS)

  def write(self, names, labels):
    return blufr_files.write_blufr(
      os.path.join(self.folder, 'config.mat'), names, labels, DRAWN
    )

  def source(self, names=None):
    path = os.path.join(self.folder, 'e.npz')
    names = self.names if names is None else names
    Embeddings(tuple(names), 3 * self.features[: len(names)]).save(path)
    return SavedSource(path)

  def test_lfw_all_adds_the_trials_on_all_images(self):
    order = np.random.default_rng(2).permutation(len(NAMES))
    place = np.argsort(order)
    drawn = [tuple(place[rows] for rows in trial) for trial in DRAWN]
    path = blufr_files.write_blufr(
      self.path, [NAMES[row] for row in order], LABELS[order], drawn
    )
    plain, added = (
      all_pairs.run(
        self.source(),
        mode='plain',
        images_per_person=2,
        far=[1e-3],
        bootstrap=5,
        blufr=given,
      ).result
      for given in (None, path)
    )
    found = added.pop('blufr')
    self.assertEqual(added, plain)
    self.assertEqual(found['lists'], path)
    self.assertIs(found['official'], False)
    expected = blufr(self.features, LABELS, SPLITS)
    for rates in ('tar_at_far', 'dir_at_far'):
      chex.assert_trees_all_close(found[rates], expected[rates], atol=1e-6)

  def test_images_are_embedded_once(self):
    source = self.source()
    asked = []

    class Counting(HeldSource):
      def embed(self, names, *, flip):
        asked.append((len(names), flip))
        return source.embed(names, flip=flip)

    held = HeldSource(Counting(source))
    names = [self.names[row] for row in (7, 3, 3)]
    for _ in range(2):
      found = held.embed(names, flip=False)
      np.testing.assert_array_equal(found.plain, 3 * self.features[[7, 3, 3]])
      self.assertIsNone(found.flip)
    self.assertEqual(asked, [(len(NAMES), False)])
    self.assertEqual(found.names, tuple(names))

  def test_lists_of_other_images_are_refused_before_any_embedding(self):
    with self.assertRaisesRegex(DataError, 'config.mat: the data has no image'):
      TrialsOnImages(self.path, self.names[:-1])
    with self.assertRaisesRegex(DataError, 'IDENTITY/image.jpg'):
      TrialsOnImages(self.path, NAMES)
    self.write(NAMES[1:] + NAMES[:1], LABELS)
    with self.assertRaisesRegex(DataError, 'whom lfw/P01/.* shows'):
      TrialsOnImages(self.path, self.names)
    self.write(NAMES, np.minimum(LABELS, NUM_PEOPLE - 2))
    with self.assertRaisesRegex(DataError, 'labels and the folders'):
      TrialsOnImages(self.path, self.names)


if __name__ == '__main__':
  absltest.main()
