"""Every recipe loads, builds its model and says how it is run."""

import dataclasses
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

from configs import base
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


def _load(path):
  """As the command does, locked."""
  return config_flags.ConfigFileFlagParser('config').parse(path)


def _shapes(config):
  fields = config.model.to_dict()
  model = models.get_model(fields.pop('name'), **fields)
  images = jax.ShapeDtypeStruct((1, *model.image_size, 3), jnp.float32)
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

  def test_there_are_recipes(self):
    self.assertIn('quickstart', [path.stem for path in RECIPES])


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
