"""Every recipe loads, builds its model and says how it is run."""

import dataclasses
import importlib
import inspect
import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import pytest
from absl.testing import parameterized
from ml_collections import config_dict
from ml_collections.config_flags import config_flags

from configs import base, mobilefacenet
from facejax import models, trees
from facejax.compression import ternary
from facejax.data.augmentation import Augmentation
from facejax.losses.margins import MARGINS
from facejax.training import loop_checks, optimizer
from tests.conftest import REPOSITORY

CONFIGS = pathlib.Path(REPOSITORY) / 'configs'
RECIPES = sorted(
  path
  for path in CONFIGS.glob('*.py')
  if path.name not in ('base.py', '__init__.py')
)
_CASES = [
  (p.stem + a.replace(':', '_'), f'{p}{a}')
  for p in RECIPES
  for a in ('', ':smoke')
]
# Recipes of several models, and of one that is chosen by its name.
_VARIANTS = [
  (f'{p.stem}_{variant}', str(p), variant)
  for p in RECIPES
  for variant in getattr(
    importlib.import_module(f'configs.{p.stem}'), 'VARIANTS', ()
  )
]


def _load(path):
  """As the command does, locked."""
  return config_flags.ConfigFileFlagParser('config').parse(path)


def _shapes(config):
  fields = config.model.to_dict()
  # Parameters are those of every path; 'auto' traces two.
  model = models.get_model(
    fields.pop('name'), conv_path='convolution', **fields
  )
  images = jax.ShapeDtypeStruct(
    (1, *model.image_size, model.image_channels), jnp.float32
  )
  return jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, False), images
  )


class RecipeTest(chex.TestCase):
  @parameterized.named_parameters(_CASES)
  def test_it_loads_locked_and_passes_every_check(self, path):
    config = _load(path)
    self.assertTrue(config.is_locked)
    with self.assertRaises(AttributeError):
      config.modle = 1
    loop_checks.check_config(config)
    Augmentation(**config.data.augmentation)
    self.assertIn(config.loss.name, MARGINS)
    optimizer.make_schedule(
      total_steps=config.total_steps, **config.learning_rate
    )
    optimizer.make_optimizer(lambda step: 0.1, **config.optimizer)
    json.dumps(config.to_dict())

  @parameterized.named_parameters(_CASES)
  def test_it_has_the_fields_of_the_schema_and_no_others(self, path):
    def flat(config):
      config = config.copy_and_resolve_references()
      return {
        name: type(value)
        for name, value in loop_checks._flatten(config.to_dict()).items()
        if not name.startswith(('evaluators', 'model.'))
      }

    self.assertEqual(flat(_load(path)), flat(base.get_base()))

  @parameterized.named_parameters(_CASES)
  def test_its_model_builds_and_its_rules_fit(self, path):
    config = _load(path)
    params = _shapes(config)['params']
    self.assertGreater(trees.parameter_count(params), 1000)
    named = {**params, 'head': {'class_weights': 0}}
    trees.check_rules(config.weight_decay, named, 'weight_decay')
    trees.check_rules([(f, 0) for f in config.frozen], named, 'frozen')
    if config.ternary.from_step >= 0:
      ternary.check_ternary_rules(params, config.ternary.rules)

  @parameterized.named_parameters((p.stem, p) for p in RECIPES)
  def test_its_docstring_has_the_command_that_runs_it(self, path):
    module = path.read_text().split('"""')[1]
    self.assertRegex(module, r'\n  python -m launch\.\w+ ')
    self.assertGreater(len(module.splitlines()), 4)
    for command in module.split('python -m launch.')[1:]:
      name = command.split()[0]
      self.assertTrue(
        (pathlib.Path(REPOSITORY) / 'launch' / f'{name}.py').exists(), name
      )

  @parameterized.named_parameters((p.stem, p) for p in RECIPES)
  def test_smoke_is_the_same_recipe_at_toy_size(self, path):
    whole, smoke = _load(str(path)), _load(f'{path}:smoke')
    self.assertLessEqual(smoke.total_steps, 20)
    self.assertLess(smoke.total_steps, whole.total_steps)
    self.assertEqual(smoke.loss.name, whole.loss.name)
    self.assertEqual(smoke.model.name, whole.model.name)
    self.assertEqual(smoke.ternary.from_step >= 0, whole.ternary.from_step >= 0)

  @parameterized.named_parameters(_VARIANTS)
  def test_every_variant_loads_and_builds(self, path, variant):
    """The whole net as a module, the toy one down to its parameters."""
    fields = _load(f'{path}:{variant}').model.to_dict()
    self.assertEqual(fields.pop('name'), variant)
    models.get_model(variant, **fields)
    smoke = _load(f'{path}:{variant},smoke')
    self.assertEqual(smoke.model.name, variant)
    loop_checks.check_config(smoke)
    params = _shapes(smoke)['params']
    named = {**params, 'head': {'class_weights': 0}}
    trees.check_rules(smoke.weight_decay, named, 'weight_decay')

  def test_there_are_recipes(self):
    self.assertIn('quickstart', [path.stem for path in RECIPES])


class ArgumentTest(chex.TestCase):
  """The words behind the colon, as `configs.base` reads them."""

  @parameterized.parameters(
    ('', 'a', False),
    ('smoke', 'a', True),
    ('b', 'b', False),
    ('smoke, b', 'b', True),
  )
  def test_a_variant_and_smoke_come_in_any_order(self, arg, variant, smoke):
    self.assertEqual(base.parse_arg(arg, ('a', 'b')), (variant, smoke))

  def test_an_unknown_word_is_answered_with_the_known(self):
    with self.assertRaisesRegex(ValueError, "'c' is no .*use a, b, smoke"):
      base.parse_arg('c', ('a', 'b'))

  def test_two_variants_are_refused(self):
    with self.assertRaisesRegex(ValueError, 'a and b: name one model'):
      base.parse_arg('a,b', ('a', 'b'))

  @parameterized.parameters(
    ('112x96', (112, 96)), ('96x96,mobilefacenet_s', (96, 96))
  )
  def test_mobilefacenet_takes_the_sizes_of_its_paper(self, words, size):
    config = _load(f'{CONFIGS}/mobilefacenet.py:{words}')
    self.assertEqual(config.model.image_size, size)
    self.assertEqual(config.data.crop, size)

  def test_mobilefacenet_takes_what_its_paper_compares(self):
    config = _load(f'{CONFIGS}/mobilefacenet.py:relu,se,smoke')
    names = trees.named_leaves(_shapes(config)['params'])
    self.assertFalse([name for name in names if 'slope' in name])
    self.assertIn('stage0_block0/se/reduce/kernel', names)

  def test_two_sizes_are_refused(self):
    with self.assertRaisesRegex(ValueError, '112x96 and 96x96: name one size'):
      mobilefacenet.get_config('112x96,96x96')

  def test_slopes_do_not_decay_and_the_tail_decays_more(self):
    rules = mobilefacenet.get_config().weight_decay
    for name, rate in (
      ('stem/activation/slope', 0.0),
      ('stem/norm/scale', 0.0),
      ('stem/conv/kernel', 4e-5),
      ('embed/conv/kernel', 4e-4),
      ('head/class_weights', 4e-4),
    ):
      self.assertEqual(trees.first_match(rules, name, 0.0), rate, name)


class SchemaTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _base(self):
    self.config = base.get_base()

  def test_augmentation_has_the_fields_and_defaults_of_the_data_class(self):
    self.assertEqual(
      self.config.data.augmentation.to_dict(),
      dataclasses.asdict(Augmentation()),
    )

  def test_the_model_fields_exist_and_are_its_defaults(self):
    fields = self.config.model.to_dict()
    model = models.get_model(fields.pop('name'), **fields)
    self.assertEqual(model, models.get_model('mobilefacenet'))

  def test_the_optimizer_fields_exist(self):
    known = inspect.signature(optimizer.make_optimizer).parameters
    self.assertContainsSubset(self.config.optimizer.keys(), known)
    known = inspect.signature(optimizer.make_schedule).parameters
    self.assertContainsSubset(self.config.learning_rate.keys(), known)

  def test_every_call_gives_a_config_of_its_own(self):
    self.config.loss.margin = 0.1
    self.assertEqual(base.get_base().loss.margin, 0.5)
    self.assertIsInstance(self.config.loss, config_dict.ConfigDict)

  def test_the_default_rules_fit_the_whole_net(self):
    params = _shapes(self.config)['params']
    rules = self.config.ternary.rules
    ternary.check_ternary_rules(params, rules)
    chosen = ternary.granularities(params, rules)
    self.assertEqual(set(chosen.values()), {'filter'})
    for name, leaf in trees.named_leaves(params).items():
      depthwise = name.endswith('kernel') and leaf.shape[2] == 1
      kernel = name.endswith('kernel') and not depthwise
      self.assertEqual(name in chosen, kernel, name)
