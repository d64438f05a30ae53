"""Hand-made curves."""

import math

import chex
from absl.testing import parameterized

from facejax.training.overfitting import Check, OverfittingWatch, overfits


def _checks(held_out, training=None):
  training = training or [10.0 - i for i in range(len(held_out))]
  return [Check(*losses) for losses in zip(held_out, training, strict=True)]


class OverfitsTest(chex.TestCase):
  @parameterized.parameters(
    ([3.0, 2.0, 2.1, 2.2, 2.3], 3, True),
    ([3.0, 2.0, 2.1, 2.2], 3, False),  # two rises
    ([2.0, 2.1, 2.2, 2.3], 3, True),  # from the first check on
    ([2.0, 2.1, 2.2], 3, False),  # too short
    ([2.0, 2.1, 2.05, 2.2, 2.3], 3, False),  # a fall in between
    ([2.0, 2.1, 2.1, 2.2], 3, False),  # standing still is no rise
    ([2.0, 2.1, math.nan, 2.2, 2.3], 3, False),
    ([1.0, 2.0], 1, True),
    ([2.0, 1.0], 1, False),
    ([], 1, False),
  )
  def test_so_many_rises_in_a_row_end_a_run(self, held_out, patience, expected):
    self.assertEqual(overfits(_checks(held_out), patience), expected)

  @parameterized.parameters(
    ([9.0, 8.0, 7.0, 6.0], True),
    ([9.0, 9.5, 9.4, 8.9], True),  # lower after all, not at every check
    ([9.0, 8.0, 8.5, 9.0], False),  # as high as before
    ([9.0, 9.1, 9.2, 9.3], False),  # a training that goes wrong
    ([math.nan, 8.0, 7.0, 6.0], False),
  )
  def test_only_while_the_training_loss_falls(self, training, expected):
    checks = _checks([1.0, 1.1, 1.2, 1.3], training)
    self.assertEqual(overfits(checks, 3), expected)

  def test_the_first_check_where_it_shows_ends_the_run(self):
    held_out = [5.0, 4.0, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]
    checks = _checks(held_out)
    found = [
      i for i in range(len(checks)) if overfits(checks[: i + 1], patience=5)
    ]
    self.assertEqual(found[0], 7)


class WatchTest(chex.TestCase):
  def test_a_check_has_the_mean_of_the_losses_since_the_one_before(self):
    watch = OverfittingWatch('evaluation/people/loss', 1)
    told = []
    for row in (
      {'step': 1, 'loss': 4.0},
      {'step': 2, 'loss': 2.0},
      {'step': 2, 'evaluation/other/loss': 1.0},
      {'step': 2, 'evaluation/people/loss': 1.0},  # training 3.0
      {'step': 3, 'loss': 3.5},
      {'step': 4, 'loss': None},
      {'step': 4, 'evaluation/people/loss': 1.1},  # training 3.5: no fall
      {'step': 5, 'loss': 3.4},
      {'step': 5, 'evaluation/people/loss': 1.2},  # and now it falls
    ):
      watch.add(row)
      told.append(watch.overfits)
    self.assertEqual(told, [False] * 8 + [True])

  def test_without_a_loss_or_a_number_nothing_is_said(self):
    watch = OverfittingWatch('held_out', 1)
    for row in ({'held_out': 1.0}, {'held_out': 2.0}, {'held_out': None}):
      watch.add(row)
      self.assertFalse(watch.overfits)
