"""A user's own people, measured in plain loops beside."""

import itertools
import json
import math
import os

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.identification_splits import draw_half
from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.protocols import folder
from facejax.evaluation.sources import ModelSource
from tests.evaluation import faces
from tests.evaluation.naive_ranks import naive_dir_at_far, naive_rank

# Eight people with 1 1 2 3 3 4 5 6 images: 38 genuine, 262 impostor pairs.
PEOPLE = np.repeat(np.arange(8), [1, 1, 2, 3, 3, 4, 5, 6])
NAMES = [f'set/P{person}/{row:02d}.jpg' for row, person in enumerate(PEOPLE)]


def make_features(seed=0, noise=0.9):
  """Unit features around a centre for each person."""
  rng = np.random.default_rng(seed)
  centres = rng.normal(size=(8, 12))
  features = centres[PEOPLE] + noise * rng.normal(size=(len(PEOPLE), 12))
  features /= np.linalg.norm(features, axis=1, keepdims=True)
  return features.astype(np.float32)


def naive_pairs(features, people):
  """Scores of genuine and of impostor pairs."""
  scores = ([], [])
  for one, two in itertools.combinations(range(len(people)), 2):
    kind = int(people[one] != people[two])
    scores[kind].append(float(np.dot(features[one], features[two])))
  return map(np.array, scores)


def naive_looks(features, gallery, probes):
  """(mate's score, rank, best score) of each probe, rank 0 without a mate."""
  for row in probes:
    scores = features[gallery] @ features[row]
    mates = scores[PEOPLE[gallery] == PEOPLE[row]]
    rank = naive_rank(scores, PEOPLE[row], PEOPLE[gallery])
    yield mates.max(initial=-math.inf), rank, scores.max()


class FolderTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path

  def saved(self, features, names=NAMES):
    path = os.path.join(self.root, 'e.npz')
    Embeddings(tuple(names), np.asarray(features, np.float32)).save(path)
    return SavedSource(path)

  def run_saved(self, features, names=NAMES, **options):
    options = {'mode': 'plain', 'bootstrap': 20} | options
    return folder.run(self.saved(features, names), **options)

  @parameterized.parameters(0, 1)
  def test_pairs_are_those_of_a_loop(self, seed):
    features = make_features(seed)
    found = json.loads(json.dumps(self.run_saved(2 * features).result))
    genuine, impostor = naive_pairs(features, PEOPLE)
    self.assertEqual(
      [found[f'num_{kind}'] for kind in ('genuine', 'impostors', 'people')],
      [38, 262, 8],
    )
    self.assertEqual(list(found['tar_at_far']), ['1e-1', '1e-2'])
    for key in found['tar_at_far']:
      allowed = float(key) * 262
      threshold = min(t for t in impostor if (impostor > t).sum() <= allowed)
      self.assertAlmostEqual(found['thresholds'][key], threshold, places=5)
      self.assertAlmostEqual(
        found['tar_at_far'][key], (genuine > threshold + 1e-6).mean()
      )
      self.assertAlmostEqual(
        found['far_at_threshold'][key], (impostor > threshold + 1e-6).mean()
      )
    wins = (genuine[:, None] > impostor[None, :]).mean()
    self.assertAlmostEqual(found['auc'], wins, delta=found['auc_error'] + 1e-6)
    self.assertEqual((found['measure'], found['mode']), ('cosine', 'plain'))

  def test_thresholds_have_intervals_around_them(self):
    found = self.run_saved(make_features(), bootstrap=200).result
    for rates, intervals in (
      ('thresholds', 'threshold_intervals_95'),
      ('tar_at_far', 'tar_intervals_95'),
      ('far_at_threshold', 'far_intervals_95'),
    ):
      low, high = found[intervals]['1e-1']
      self.assertLess(low, high)
      self.assertBetween(found[rates]['1e-1'], low, high)
    self.assertEqual(
      found['bootstrap'], {'over': 'people', 'draws': 200, 'seed': 0}
    )

  def test_the_closed_set_is_that_of_a_loop(self):
    features = make_features(2)
    closed = self.run_saved(features).result['closed_set']
    gallery = [int(np.searchsorted(PEOPLE, person)) for person in range(8)]
    probes = np.setdiff1d(np.arange(len(PEOPLE)), gallery)
    ranks = [rank for _, rank, _ in naive_looks(features, gallery, probes)]
    self.assertEqual(closed['rank1'], np.mean(np.array(ranks) == 1))
    self.assertBetween(closed['rank1'], 0.2, 0.95)
    self.assertEqual(
      closed['cmc'],
      [np.mean(np.array(ranks) <= rank) for rank in range(1, 21)],
    )
    self.assertEqual(
      [closed[f'num_{kind}'] for kind in ('probes', 'gallery', 'identities')],
      [17, 8, 8],
    )

  def test_the_open_set_is_the_mean_of_loops_over_draws(self):
    features = make_features(3)
    report = self.run_saved(features, draws=3, seed=7)
    found = report.result['open_set']
    expected = []
    for draw in range(3):
      gallery, probes = draw_half(PEOPLE, seed=7, draw=draw)
      looks = list(naive_looks(features, gallery, probes))
      genuine = [(mate, rank) for mate, rank, _ in looks if rank]
      alarms = [best for _, rank, best in looks if not rank]
      mates, ranks = zip(*genuine, strict=True)
      rate, _, threshold = naive_dir_at_far(mates, ranks, alarms, 0.1, 1)
      expected.append((rate, threshold, ranks.count(1) / len(ranks)))
    dirs, thresholds, first = map(list, zip(*expected, strict=True))
    self.assertEqual(found['dir_of_draws']['1e-1'], dirs)
    self.assertAlmostEqual(found['dir_at_far']['1e-1'], np.mean(dirs))
    self.assertAlmostEqual(found['dir_std']['1e-1'], np.std(dirs, ddof=1))
    self.assertAlmostEqual(
      found['thresholds']['1e-1'], np.mean(thresholds), places=5
    )
    self.assertAlmostEqual(found['rank1'], np.mean(first))
    self.assertEqual((found['num_draws'], found['seed']), (3, 7))
    self.assertEqual(set(report.curves.dir), {'plain, first of 3 draws'})

  def test_a_seed_gives_the_same_result_again(self):
    features = make_features()
    one, again = (self.run_saved(features, seed=5).result for _ in range(2))
    self.assertEqual(one, again)
    other = self.run_saved(features, seed=6).result
    self.assertEqual(one['tar_at_far'], other['tar_at_far'])
    self.assertNotEqual(one['tar_intervals_95'], other['tar_intervals_95'])
    self.assertNotEqual(one['open_set'], other['open_set'])

  def test_only_the_first_images_of_a_person_count_if_asked(self):
    features = make_features()
    rank = np.arange(len(PEOPLE)) - np.searchsorted(PEOPLE, PEOPLE)
    kept = np.flatnonzero(rank < 2)
    shuffled = np.random.default_rng(0).permutation(len(NAMES))
    found, expected = (
      self.run_saved(features[rows], [NAMES[row] for row in rows], **options)
      for rows, options in ((shuffled, {'images_per_person': 2}), (kept, {}))
    )
    self.assertEqual(found.result, expected.result)
    self.assertEqual(found.result['num_images'], 14)

  def test_a_model_and_its_images_make_a_report_with_pictures(self):
    faces.write_folder(self.root, 'data')
    source = ModelSource(
      faces.PixelModel(), os.path.join(self.root, 'data'), batch_size=16
    )
    report = folder.run(source, mode='insightface', bootstrap=20)
    self.assertEqual(report.result['tar_at_far'], {'1e-1': 1, '1e-2': 1})
    self.assertEqual(report.result['closed_set']['rank1'], 1)
    self.assertEqual(report.title, '24 images of 6 people')
    self.assertLen(report.confused, 24)
    self.assertTrue(all(pair.pictures for pair in report.confused))
    written = report.write(os.path.join(self.root, 'out'))
    self.assertEqual(
      written['figures'],
      ['cmc.png', 'det.png', 'dir.png', 'histogram.png', 'roc.png'],
    )

  def test_duplicate_images_are_ties_and_no_errors(self):
    features = make_features()
    features[PEOPLE == 3] = features[PEOPLE == 3][0]
    features[PEOPLE == 4] = features[PEOPLE == 3][0]
    found = self.run_saved(features).result
    genuine, impostor = naive_pairs(features, PEOPLE)
    # Nine impostor pairs are as alike as two images can be: at a rate of 1e-2,
    # two pairs, nothing lies above the threshold.
    self.assertEqual((impostor > 1 - 1e-6).sum(), 9)
    self.assertEqual((genuine > 1 - 1e-6).sum(), 6)
    self.assertAlmostEqual(found['thresholds']['1e-2'], 1, places=6)
    self.assertAlmostEqual(found['tar_at_far']['1e-2'], 0, delta=6 / 38)
    self.assertLess(found['closed_set']['rank1'], 1)

  def test_the_smallest_set_has_no_rates_but_ranks(self):
    found = self.run_saved(
      [[1, 0], [0.9, 0.1], [0, 1]], ['A/1.jpg', 'A/2.jpg', 'B/1.jpg']
    )
    result = json.loads(json.dumps(found.result))
    self.assertEqual(result['tar_at_far'], {})
    self.assertEqual(result['smallest_far'], 0.5)
    self.assertEqual(result['auc'], 1)
    self.assertEqual(result['closed_set']['rank1'], 1)
    self.assertEqual(result['open_set']['dir_at_far'], {})
    found.write(os.path.join(self.root, 'out'))

  @parameterized.parameters(
    (['A/1.jpg', 'A/2.jpg'], '2 images of 1 people: add images of others'),
    (['A/1.jpg', 'B/2.jpg'], 'has one image only: add second ones'),
    (['1.jpg', '2.jpg'], 'IDENTITY/image.jpg'),
  )
  def test_sets_with_pairs_of_one_kind_are_refused(self, names, message):
    with self.assertRaisesRegex(DataError, message):
      self.run_saved(np.eye(2), names)

  @parameterized.parameters(
    ({'far': [1e-3]}, '0.001 cannot be read from 262 impostor pairs'),
    ({'far': [0.1, 0]}, 'rate of 0 cannot'),
    ({'far': [2]}, 'rate of 2 cannot'),
    ({'far': [math.nan]}, 'rate of nan cannot'),
    ({'images_per_person': 1}, '--images_per_person=1: give 2 or more'),
    ({'draws': 0}, '--draws=0: give 1 or more'),
    ({'seed': -1}, '--seed=-1: give 0 or more'),
    ({'mode': 'centred'}, 'needs the mean embedding'),
    ({'mode': 'insightface'}, 'mirror'),
  )
  def test_options_that_do_not_fit_are_refused(self, options, message):
    source = self.saved(make_features())
    source.embed = lambda *_, **__: self.fail('embedded before it was checked')
    with self.assertRaisesRegex(UsageError, message):
      folder.run(source, **{'mode': 'plain', **options})

  def test_embeddings_that_are_not_finite_are_named(self):
    features = make_features()
    features[5, 3] = np.nan
    with self.assertRaisesRegex(DataError, f'{NAMES[5]} is not finite'):
      self.run_saved(features)


if __name__ == '__main__':
  absltest.main()
