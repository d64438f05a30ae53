"""Rates of groups against loops that do nothing clever."""

import dataclasses
import json
import math

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.attributes import Attributes
from facejax.data.protocols import PairList
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.metrics import OperatingPoint, far_name
from facejax.evaluation.studies.attributes import (
  rates_by_attribute,
  rates_by_group,
)
from facejax.evaluation.verification_result import Verification

FARS = {0.1: 0.5, 0.01: 0.75}  # by rate its threshold


def verification(scores, same, folds, fold_thresholds, points=None):
  """A finished result; what no group needs is left at 0."""
  accepted = {far: scores[~same] > at for far, at in FARS.items()}
  points = points or {
    far: OperatingPoint(0.0, float(accepted[far].mean()), threshold)
    for far, threshold in FARS.items()
  }
  return Verification(
    mode='plain',
    accuracy=0.0,
    fold_accuracies=np.zeros(len(fold_thresholds)),
    fold_thresholds=np.array(fold_thresholds),
    points=points,
    fold_rates=None,
    auc=0.0,
    eer=0.0,
    scores=scores,
    same=same,
    folds=folds,
  )


def naive_rates(result, members, least):
  """What `rates_of_pairs` says of some pairs, pair by pair."""
  genuine = [p for p in members if result.same[p]]
  impostor = [p for p in members if not result.same[p]]

  def share(pairs, hit):
    return sum(map(hit, pairs)) / len(pairs) if len(pairs) >= least else None

  def right(p):
    accepted = result.scores[p] > result.fold_thresholds[result.folds[p]]
    return bool(accepted) == bool(result.same[p])

  parts = share(genuine, right), share(impostor, right)
  expected = {
    'num_pairs': len(members),
    'num_genuine': len(genuine),
    'num_impostors': len(impostor),
    'smallest_far': 1 / len(impostor) if impostor else None,
    'accuracy': share(members, right),
    'balanced_accuracy': None if None in parts else sum(parts) / 2,
  }
  for far, point in result.points.items():
    tar, fmr = (
      share(kind, lambda p, t=point.threshold: result.scores[p] > t)
      for kind in (genuine, impostor)
    )
    for key, value in {
      'tar_at_far': tar,
      'fnmr_at_far': None if tar is None else 1 - tar,
      'fmr_at_far': fmr,
      'fmr_ratio_at_far': None if fmr is None else fmr / point.far,
      'tar_intervals_95': tar is not None
      and [*wilson_interval(tar, len(genuine))],
    }.items():
      expected.setdefault(key, {})[far_name(far)] = (
        None if value is False else value
      )
  return expected


def random_result(seed, count=400):
  """Scores on a coarse grid, so that many stand on a threshold."""
  rng = np.random.default_rng(seed)
  same = rng.random(count) < 0.5
  scores = np.round((rng.random(count) + 0.3 * same) * 8) / 8
  folds = np.arange(count) % 3
  return verification(scores, same, folds, [0.5, 0.625, 0.6]), rng


class RatesByGroupTest(chex.TestCase):
  @parameterized.parameters(0, 1, 2)
  def test_every_number_is_that_of_a_plain_loop(self, seed):
    result, rng = random_result(seed)
    values = ('a', 'b', 'rare', 'none')
    first, second = rng.choice(
      [-1, 0, 1, 2], p=[0.1, 0.5, 0.37, 0.03], size=(2, 400)
    )
    found = rates_by_group(result, first, second, values=values, min_pairs=3)
    members = {
      value: [p for p in range(400) if first[p] == second[p] == number]
      for number, value in enumerate(values)
    }
    for value, group in found['groups'].items():
      expected = naive_rates(result, members[value], 3)
      shown = {key: group[key] for key in expected}
      chex.assert_trees_all_close(shown, expected, rtol=1e-12)
    across = [
      p
      for p in range(400)
      if first[p] >= 0 and second[p] >= 0 and first[p] != second[p]
    ]
    expected = naive_rates(result, across, 3)
    shown = {key: found['across'][key] for key in expected}
    chex.assert_trees_all_close(shown, expected, rtol=1e-12)
    unknown = [p for p in range(400) if first[p] < 0 or second[p] < 0]
    self.assertEqual(found['unknown']['num_pairs'], len(unknown))
    self.assertEqual(
      found['unknown']['num_genuine'], int(result.same[unknown].sum())
    )
    # Every pair is counted once.
    counts = [group['num_pairs'] for group in found['groups'].values()]
    counts += [found['across']['num_pairs'], found['unknown']['num_pairs']]
    self.assertEqual(sum(counts), 400)
    json.dumps(found, allow_nan=False)

  def test_small_groups_are_listed_without_rates(self):
    result, rng = random_result(0)
    first = second = np.where(np.arange(400) == 7, 1, 0)
    found = rates_by_group(
      result, first, second, values=('many', 'one', 'nobody')
    )
    one, nobody = found['groups']['one'], found['groups']['nobody']
    self.assertEqual(one['num_pairs'], 1)
    self.assertEqual(nobody['num_pairs'], 0)
    for group in (one, nobody):
      self.assertIsNone(group['accuracy'])
      self.assertIsNone(group['balanced_accuracy'])
      self.assertEqual(group['tar_at_far'], {'1e-1': None, '1e-2': None})
      self.assertEqual(group['fmr_ratio_at_far'], {'1e-1': None, '1e-2': None})
    # One group with rates has nothing to be compared with.
    self.assertIsNone(found['spread']['balanced_accuracy'])
    self.assertEqual(
      found['spread']['fmr_at_far'], {'1e-1': None, '1e-2': None}
    )

  def hand_made(self):
    """Group a: FMR 1/4 and FNMR 0; group b: FMR 3/4, FNMR 1/2, at 0.5."""
    genuine = [0.9, 0.6, 0.9, 0.5]
    impostor = [0.6, 0.1, 0.1, 0.5, 0.6, 0.7, 0.8, 0.1]
    scores = np.array(genuine + impostor)
    same = np.arange(12) < 4
    groups = np.array([0, 0, 1, 1] + [0] * 4 + [1] * 4)
    points = {0.5: OperatingPoint(0.75, 0.5, 0.5)}
    result = verification(scores, same, np.zeros(12, np.int64), [0.5], points)
    return result, groups

  def test_spread_is_that_of_a_hand_made_set(self):
    result, groups = self.hand_made()
    found = rates_by_group(
      result, groups, groups, values=('a', 'b'), min_pairs=1
    )
    a, b = found['groups'].values()
    # A score on the threshold is a rejection, of both kinds of pairs.
    self.assertEqual(a['fmr_at_far'], {'5e-1': 0.25})
    self.assertEqual(b['fmr_at_far'], {'5e-1': 0.75})
    self.assertEqual(a['fmr_ratio_at_far'], {'5e-1': 0.5})
    self.assertEqual(b['fmr_ratio_at_far'], {'5e-1': 1.5})
    self.assertEqual((a['accuracy'], b['accuracy']), (5 / 6, 2 / 6))
    self.assertEqual(a['balanced_accuracy'], (1 + 3 / 4) / 2)
    self.assertEqual(b['balanced_accuracy'], (1 / 2 + 1 / 4) / 2)
    spread = found['spread']
    self.assertEqual(
      spread['balanced_accuracy'],
      {'lowest': 'b', 'highest': 'a', 'gap': 0.5},
    )
    fmr = spread['fmr_at_far']['5e-1']
    self.assertEqual((fmr['lowest'], fmr['highest']), ('a', 'b'))
    self.assertEqual((fmr['gap'], fmr['max_to_min']), (0.5, 3.0))
    self.assertAlmostEqual(fmr['max_to_geometric_mean'], math.sqrt(3))
    # Nobody of a was refused: a ratio to nothing says nothing.
    fnmr = spread['fnmr_at_far']['5e-1']
    self.assertEqual((fnmr['lowest'], fnmr['gap']), ('a', 0.5))
    self.assertIsNone(fnmr['max_to_min'])
    self.assertIsNone(fnmr['max_to_geometric_mean'])

  def test_the_names_of_groups_change_nothing(self):
    result, groups = self.hand_made()
    found = rates_by_group(
      result, groups, groups, values=('a', 'b'), min_pairs=1
    )
    turned = rates_by_group(
      result, 1 - groups, 1 - groups, values=('b', 'a'), min_pairs=1
    )
    self.assertEqual(found['groups'], turned['groups'])
    self.assertEqual(found['spread'], turned['spread'])

  def test_a_threshold_that_no_impostor_passes_gives_no_ratio(self):
    result, groups = self.hand_made()
    points = {0.5: OperatingPoint(0.0, 0.0, 0.95)}
    result = dataclasses.replace(result, points=points)
    found = rates_by_group(
      result, groups, groups, values=('a', 'b'), min_pairs=1
    )
    a = found['groups']['a']
    self.assertEqual(a['fmr_at_far'], {'5e-1': 0})
    self.assertEqual(a['fmr_ratio_at_far'], {'5e-1': None})

  def test_pairs_get_the_groups_of_their_images(self):
    result, _ = self.hand_made()
    names_a = tuple(f'{"A" if p % 4 < 2 else "B"}/{p}.jpg' for p in range(12))
    names_b = tuple(f'{"A" if p < 4 else "C"}/x{p}.jpg' for p in range(12))
    pairs = PairList(names_a, names_b, result.same, result.folds)
    table = Attributes(
      't.csv',
      frozenset({'A', 'B', 'C/x4.jpg'}),
      {'sex': {'A': 'f', 'B': 'm', 'C/x4.jpg': 'f'}, 'odd': {'A': '1'}},
    )
    found = rates_by_attribute(result, pairs, table)
    self.assertEqual([*found], ['sex', 'odd'])
    sex = found['sex']
    # Pairs 0, 1 are A with A; 4 is A with the one image of C that is known.
    self.assertEqual(sex['groups']['f']['num_pairs'], 3)
    self.assertEqual(sex['groups']['f']['num_images'], 11)
    self.assertEqual(sex['groups']['m']['num_pairs'], 0)
    self.assertEqual(sex['groups']['m']['num_images'], 6)
    self.assertEqual(sex['across']['num_pairs'], 2)
    self.assertEqual(sex['unknown']['num_pairs'], 7)
    self.assertEqual(sex['unknown']['num_images'], 7)
    self.assertEqual(found['odd']['groups']['1']['num_pairs'], 2)


if __name__ == '__main__':
  absltest.main()
