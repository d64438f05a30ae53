"""Recipes have the numbers of their papers, and docs/recipes.md has theirs."""

import ast
import pathlib
import re
import shlex

import chex
import numpy as np
from absl import flags
from absl.testing import parameterized
from ml_collections import config_flags

from configs import insightface_mbf, ir, lenet5, lightcnn, sphereface
from facejax import trees
from facejax.losses.margin_constants import default_constants
from facejax.losses.margins import MARGINS
from facejax.training import loop_checks, optimizer, recipe
from tests.conftest import REPOSITORY
from tests.recipe_case import CONFIGS, RECIPES, load

DOCUMENT = pathlib.Path(REPOSITORY) / 'docs' / 'recipes.md'
# Without a paper; the document says so.
_OURS = ('mobilefacenet_faces', 'mobilefacenet_faces_ternary', 'quickstart')


def _rates(config, steps):
  schedule = optimizer.make_schedule(
    total_steps=config.total_steps, **config.learning_rate
  )
  return np.array([schedule(step) for step in steps])


class PaperTest(chex.TestCase):
  def test_spherefaces_lambda_reaches_its_floor_at_step_1659(self):
    loss = recipe.make_margin(sphereface.get_config().loss)
    constants = dict(loss.constants)
    self.assertEqual((loss.name, constants['margin']), ('a_softmax', 4))
    values = [float(loss.settings(step)['lambda']) for step in (0, 1658, 1659)]
    np.testing.assert_allclose(values, [1000, 5.0010, 5], rtol=1e-4)
    self.assertGreater(values[1], 5)

  @parameterized.parameters(
    (sphereface.get_config, 'embed/bias', 2, 0),
    (sphereface.get_config, 'stage0_activation/slope', 1, 5e-4),
    (sphereface.get_config, 'head/class_weights', 1, 5e-4),
    (lightcnn.get_config, 'head/class_weights', 10, 1e-4),
    (lightcnn.get_config, 'head/bias', 20, 0),
    (lightcnn.get_config, 'stem/conv/bias', 2, 0),
    (lightcnn.get_config, 'stem/conv/kernel', 1, 1e-4),
    (insightface_mbf.get_config, 'embed/norm/scale', 1, 1e-4),
    (lambda: ir.get_config('adaface'), 'embed/bias', 1, 5e-4),
    (lambda: ir.get_config('adaface'), 'stage0_unit0/input_norm/bias', 1, 0),
  )
  def test_rates_and_decays_of_layers(self, get_config, name, factor, decay):
    config = get_config()
    found = trees.first_match(config.rate_multipliers, name, 1.0)
    self.assertEqual(found, factor)
    self.assertEqual(trees.first_match(config.weight_decay, name, 0.0), decay)

  def test_the_second_light_cnn_has_a_classifier_without_biases(self):
    self.assertEqual(
      lightcnn.get_config('lightcnn29_v2').frozen, ('head/bias',)
    )
    self.assertEqual(lightcnn.get_config('lightcnn29').frozen, ())

  def test_adafaces_last_norm_has_no_slope_but_keeps_its_statistics(self):
    (pattern,) = ir.get_config('adaface').frozen
    for name, fixed in (('scale', True), ('bias', True), ('mean', False)):
      matches = re.fullmatch(pattern, f'embed_norm/{name}') is not None
      self.assertEqual(matches, fixed, name)

  def test_insightfaces_rate_falls_in_a_line(self):
    config = insightface_mbf.get_config()
    rates = _rates(config, [0, 227_440 // 4, 227_440 // 2, 227_440])
    np.testing.assert_allclose(rates, [0.1, 0.075, 0.05, 0], atol=1e-8)
    self.assertEqual(config.optimizer.clip_norm, 5)
    constants = recipe.make_margin(config.loss).constants
    self.assertEqual(constants, (('straight_through', True),))

  def test_lenets_rate_follows_caffes_within_six_percent(self):
    steps = np.arange(0, 10_000, 25)
    caffe = 0.01 * (1 + steps / 10_000) ** -0.75
    found = _rates(lenet5.get_config(), steps)
    self.assertLess(np.abs(found / caffe - 1).max(), 0.06)


def _fall(config):
  """How the document says when the rate falls."""
  rate = config.learning_rate
  if rate.kind == 'poly':
    return 'a line to 0'
  first = rate.milestones[0]
  if rate.milestones == tuple(range(first, config.total_steps, first)):
    return f'every {first:,}'
  return ', '.join(f'{step:,}' for step in rate.milestones)


def _parse(arguments):
  """The config that the command line asks for."""
  values = flags.FlagValues()
  arguments = ['train', *arguments]
  config_flags.DEFINE_config_file(
    'config', flag_values=values, lock_config=True, sys_argv=arguments
  )
  values(arguments)
  return values.config


class DocumentTest(chex.TestCase):
  """What docs/recipes.md claims."""

  def setUp(self):
    super().setUp()
    self.text = DOCUMENT.read_text()

  def _rows(self, start):
    """Cells of the table whose head begins with `start`."""
    table = self.text.split(f'\n| {start} |')[1].split('\n\n')[0]
    lines = table.splitlines()[2:]
    return [
      [cell.strip() for cell in x.strip('| ').split(' | ')] for x in lines
    ]

  def test_the_table_of_recipes_has_their_numbers(self):
    for name, _, loss, batch, rate, steps, falls, _ in self._rows('recipe'):
      config = load(name.strip('`').removeprefix('configs/'))
      self.assertEqual(
        [loss, batch, rate, steps, falls],
        [
          f'`{config.loss.name}`',
          str(config.data.batch_size),
          str(config.learning_rate.peak),
          f'{config.total_steps:,}',
          _fall(config),
        ],
        name,
      )

  def test_every_recipe_is_mentioned(self):
    listed = {re.split(r'[/.]', row[0])[1] for row in self._rows('recipe')}
    self.assertEqual(listed, {path.stem for path in RECIPES} - {*_OURS})
    for name in _OURS:
      self.assertIn(f'`configs/{name}.py`', self.text)

  def test_the_table_of_losses_is_that_of_the_code(self):
    rows = []
    for name in MARGINS:
      constants = default_constants(name).items()
      cells = ' '.join(f'`{key}={value}`' for key, value in constants)
      rows.append([f'`{name}`', cells or 'none'])
    self.assertEqual(self._rows('loss'), rows)

  def test_every_flag_line_is_understood(self):
    lines = re.findall(r'`(--config\.[^`]+)`', self.text)
    self.assertGreater(len(lines), 20)
    for line in lines:
      words = shlex.split(line)
      with self.subTest(line):
        config = _parse([f'--config={CONFIGS}/mobilefacenet.py', *words])
        loop_checks.check_config(config)
        recipe.make_margin(config.loss)
        for word in words:
          name, value = word.removeprefix('--config.').split('=', 1)
          given = config.to_dict()
          for key in name.split('.'):
            given = given[key]
          if not isinstance(given, str):
            value = ast.literal_eval(value)
          self.assertEqual(given, value, name)
