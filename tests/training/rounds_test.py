"""Rates, decays, order and end of rounds; no training."""

import chex
import pytest
from absl.testing import parameterized

from facejax import files
from facejax.errors import CheckpointError, UsageError
from facejax.training import rounds
from facejax.training.loop_checks import check_config
from facejax.training.loop_round_config import (
  held_out_loss,
  round_config,
  round_settings,
)
from facejax.training.rounds import RoundRecord, RoundSettings, why_over
from tests.training import tiny_recipe

PEOPLE = {'kind': 'identification', 'every_steps': 2, 'data': 'people'}
BEST = 'evaluation/people/rank1'


def _settings(**fields):
  return RoundSettings(6, 0.0005, BEST, **fields)


def _records(*values):
  return [
    RoundRecord(
      round=number,
      from_round=number - 1 if number else None,
      learning_rate=0.1,
      weight_decay=[['.*', 5e-4]],
      steps=6,
      stopped='total_steps',
      best_step=4,
      metric=value,
      evaluation={BEST: value},
    )
    for number, value in enumerate(values)
  ]


def _config(**overrides):
  rounds_of_six = {'rounds__max_rounds': 6, 'rounds__patience': 2}
  config = tiny_recipe.make_config('set', **rounds_of_six | overrides)
  config.evaluators = {'people': PEOPLE}
  return config


class ScheduleTest(chex.TestCase):
  def test_rates_fall_to_a_tenth_and_then_by_halves_and_decay_doubles(self):
    settings = _settings()
    chex.assert_trees_all_close(
      [settings.rate_factor(k) for k in range(6)],
      [1.0, 0.1, 0.05, 0.025, 0.0125, 0.00625],
    )
    self.assertEqual(
      [settings.weight_decay_factor(k) for k in range(6)],
      [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    )

  def test_factors_may_be_others(self):
    settings = _settings(rate_factors=(0.5, 0.2, 0.1), decay_factor=1.5)
    chex.assert_trees_all_close(
      [settings.rate_factor(k) for k in range(5)], [1, 0.5, 0.1, 0.01, 0.001]
    )
    self.assertEqual(settings.weight_decay_factor(2), 2.25)

  @parameterized.parameters(
    ([], None),
    ([0.9], None),
    ([0.9, 0.91], None),
    ([0.9, 0.9005], None),
    ([0.9, 0.9004], 'converged'),
    ([0.9, 0.8], 'converged'),
    ([0.9, 0.91, 0.9105], 'converged'),
    ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 'max_rounds'),
  )
  def test_rounds_end_when_one_helps_no_more(self, values, expected):
    settings = RoundSettings(6, 0.00049999, BEST)
    if values == [0.9, 0.91, 0.9105]:
      settings = RoundSettings(6, 0.001, BEST)
    self.assertEqual(why_over(_records(*values), settings), expected)

  def test_the_least_loss_may_be_what_counts(self):
    settings = RoundSettings(6, 0.1, 'evaluation/people/loss', best_is='min')
    self.assertIsNone(why_over(_records(3.0, 2.5), settings))
    self.assertEqual(why_over(_records(3.0, 2.95), settings), 'converged')
    self.assertEqual(rounds.best_round(_records(3.0, 2.5), 'min').round, 1)

  def test_the_best_round_is_the_newest_of_equal_ones(self):
    for values, best in (((0.5, 0.9, 0.8), 1), ((0.9, 0.9), 1), ((0.9,), 0)):
      found = rounds.best_round(_records(*values), 'max')
      self.assertEqual(found.round, best)
    self.assertIsNone(rounds.best_round([], 'max'))


class RecordsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.workdir = files.Path(tmp_path)

  def test_what_is_written_is_read(self):
    self.assertEqual(rounds.read_records(self.workdir), [])
    records = _records(0.5, 0.6)
    rounds.write_records(self.workdir, records)
    self.assertEqual(rounds.read_records(self.workdir), records)

  @parameterized.parameters(
    ('[', 'not valid JSON'), ('[{"round": 0}]', 'missing'), ('[]x', 'JSON')
  )
  def test_a_damaged_file_is_refused(self, text, message):
    files.write_bytes(self.workdir / rounds.FILE, text.encode())
    with self.assertRaisesRegex(CheckpointError, f'{message}.*from a copy'):
      rounds.read_records(self.workdir)

  def test_a_round_that_is_missing_is_refused(self):
    rounds.write_records(self.workdir, _records(0.5, 0.6)[1:])
    with self.assertRaisesRegex(CheckpointError, 'does not hold rounds 0, 1'):
      rounds.read_records(self.workdir)


class ConfigTest(chex.TestCase):
  def test_a_round_is_an_ordinary_run_at_its_rate_and_decay(self):
    config = _config(
      seed=7,
      learning_rate__peak=0.2,
      learning_rate__milestones=(4, 5),
      init_from='model',
    )
    first, third = round_config(config, 0), round_config(config, 2)
    for current, peak, warmup in ((first, 0.2, 2), (third, 0.01, 0)):
      rate = current.learning_rate
      self.assertEqual((rate.kind, rate.power), ('poly', 1.0))
      self.assertEqual((rate.warmup_steps, rate.milestones), (warmup, ()))
      self.assertAlmostEqual(rate.peak, peak)
    self.assertEqual(first.weight_decay, config.weight_decay)
    self.assertEqual(
      third.weight_decay,
      tuple((name, 4.0 * rate) for name, rate in config.weight_decay),
    )
    self.assertEqual((first.seed, third.seed), (7, 9))
    self.assertEqual((first.init_from, third.init_from), ('model', ''))
    self.assertEqual((first.loss.warmup_steps, third.loss.warmup_steps), (4, 0))
    for current in (first, third):
      self.assertEqual(current.rounds.max_rounds, 0)
      self.assertEqual(current.checkpoint.best_metric, BEST)
      check_config(current)
    self.assertEqual(config.learning_rate.kind, 'constant')

  def test_what_rises_over_a_run_is_risen_in_later_rounds(self):
    config = _config(loss__name='a_softmax', loss__scale=None, loss__margin=4.0)
    config.hash.beta_final = 10.0
    first, second = round_config(config, 0), round_config(config, 1)
    self.assertIsNone(first.loss.lambda_base)
    self.assertEqual(second.loss.lambda_base, 0.0)
    self.assertEqual((first.hash.beta, second.hash.beta), (1.0, 10.0))

  def test_rounds_are_compared_by_the_best_metric_of_the_recipe(self):
    metric = 'evaluation/people/loss'
    config = _config()
    self.assertEqual(round_settings(config).metric, BEST)
    config.checkpoint.best_metric, config.checkpoint.best_is = metric, 'min'
    settings = round_settings(config)
    self.assertEqual((settings.metric, settings.best_is), (metric, 'min'))
    self.assertEqual(held_out_loss(config), metric)

  def test_one_of_several_evaluators_is_chosen(self):
    both = {'people': PEOPLE, 'others': PEOPLE}
    config = _config(rounds__evaluator='others')
    config.evaluators = both
    check_config(config)
    self.assertEqual(held_out_loss(config), 'evaluation/others/loss')

  @parameterized.parameters(
    ({}, {}, "max_rounds=6: held-out people .*kind 'identification'"),
    (
      {'lfw': {'kind': 'pairs', 'every_steps': 2}},
      {},
      "max_rounds=6: held-out people .*kind 'identification'",
    ),
    (
      {'a': PEOPLE, 'b': PEOPLE},
      {},
      "rounds.evaluator='': use a or b",
    ),
    (
      {'people': PEOPLE},
      {'rounds__evaluator': 'lfw'},
      "rounds.evaluator='lfw': use people",
    ),
    (
      {'people': PEOPLE | {'every_steps': 0}},
      {},
      r'people.every_steps=0: .*logged every 1 steps',
    ),
    (
      {'people': PEOPLE},
      {'log_every_steps': 20},
      r'people.every_steps=2: .*logged every 20 steps',
    ),
    (
      {'people': PEOPLE},
      {'rounds__patience': 3},
      'a round of 6 steps has 3 checks, and overfitting shows after 4',
    ),
    ({'people': PEOPLE}, {'rounds__patience': 0}, 'patience=0: use 1 or more'),
    ({'people': PEOPLE}, {'rounds__max_rounds': -1}, 'max_rounds=-1: use 0'),
    (
      {'people': PEOPLE},
      {'rounds__min_improvement': -0.1},
      'min_improvement=-0.1: use 0',
    ),
    (
      {'people': PEOPLE},
      {'rounds__rate_factors': ()},
      r'rate_factors=\(\): use positive numbers',
    ),
    (
      {'people': PEOPLE},
      {'rounds__rate_factors': (0.1, 0.0)},
      'rate_factors=.*: use positive numbers',
    ),
    (
      {'people': PEOPLE},
      {'rounds__decay_factor': 0.0},
      'decay_factor=0.0: use a positive',
    ),
    ({'people': PEOPLE}, {'ternary__from_step': 3}, 'from_step=3: rounds'),
    ({'people': PEOPLE}, {'seed': 2**32 - 2}, 'seed=.*a round adds 1'),
    (
      {'people': PEOPLE, 'end': PEOPLE | {'every_steps': 0}},
      {
        'checkpoint__best_metric': 'evaluation/end/rank1',
        'rounds__evaluator': 'people',
      },
      'evaluators.end.every_steps=0: rounds keep the step',
    ),
  )
  def test_rounds_that_cannot_be_are_refused(
    self, evaluators, overrides, message
  ):
    config = _config(**overrides)
    config.evaluators = evaluators
    with self.assertRaisesRegex(UsageError, message) as caught:
      check_config(config)
    self.assertNotIn('\n', str(caught.exception))
