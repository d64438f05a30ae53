"""Every recipe loads, builds its model and says how it is run."""

import importlib
import json
import pathlib

import chex
from absl.testing import parameterized

from configs import base
from facejax import models, trees
from facejax.compression import ternary
from facejax.data.augmentation import Augmentation
from facejax.losses.margins import MARGINS
from facejax.training import loop_checks, optimizer, recipe
from tests.conftest import REPOSITORY
from tests.recipe_case import (
  CONFIGS,
  RECIPES,
  check_rules,
  field_types,
  load,
  parameter_shapes,
)

# Words of a recipe that change more than its net.
_WORDS = (
  'mobilefacenet.py:msceleb,96x96',
  'mobilefacenet.py:straight_through,partial_fc',
  'insightface_mbf.py:partial_fc',
  'iresnet.py:casia',
  'iresnet.py:straight_through,partial_fc',
  'ir.py:ir18,adaface',
  'hashing.py:vgg16,hash_alone',
  'hashing.py:mobilefacenet,usual',
  'hashing.py:mobilefacenet,module_b',
)
_CASES = [
  (p.stem + a.replace(':', '_'), f'{p}{a}')
  for p in RECIPES
  for a in ('', ':smoke')
] + [
  (words.replace('.py:', '_').replace(',', '_') + a.replace(',', '_'), path)
  for words in _WORDS
  for a in ('', ',smoke')
  for path in [f'{CONFIGS}/{words}{a}']
]
# Recipes of several models, and of one that is chosen by its name.
_VARIANTS = [
  (f'{p.stem}_{variant}', str(p), variant)
  for p in RECIPES
  for variant in getattr(
    importlib.import_module(f'configs.{p.stem}'), 'VARIANTS', ()
  )
]


class RecipeTest(chex.TestCase):
  @parameterized.named_parameters(_CASES)
  def test_it_loads_locked_and_passes_every_check(self, path):
    config = load(path)
    self.assertTrue(config.is_locked)
    with self.assertRaises(AttributeError):
      config.modle = 1
    loop_checks.check_config(config)
    Augmentation(**config.data.augmentation)
    self.assertIn(config.loss.name, MARGINS)
    self.assertEqual(recipe.make_margin(config.loss).name, config.loss.name)
    optimizer.make_schedule(
      total_steps=config.total_steps, **config.learning_rate
    )
    optimizer.make_optimizer(lambda step: 0.1, **config.optimizer)
    json.dumps(config.to_dict())

  @parameterized.named_parameters(_CASES)
  def test_it_has_the_fields_of_the_schema_and_no_others(self, path):
    self.assertEqual(field_types(load(path)), field_types(base.get_base()))

  @parameterized.named_parameters(_CASES)
  def test_its_model_builds_and_its_rules_fit(self, path):
    config = load(path)
    params = parameter_shapes(config)
    check_rules(config, params)
    del params['head']
    self.assertGreater(trees.parameter_count(params), 1000)
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
    whole, smoke = load(str(path)), load(f'{path}:smoke')
    self.assertLessEqual(smoke.total_steps, 20)
    self.assertLess(smoke.total_steps, whole.total_steps)
    self.assertEqual(smoke.loss.name, whole.loss.name)
    self.assertEqual(smoke.model.name, whole.model.name)
    self.assertEqual(smoke.ternary.from_step >= 0, whole.ternary.from_step >= 0)

  @parameterized.named_parameters(_VARIANTS)
  def test_every_variant_loads_and_builds(self, path, variant):
    """The whole net as a module, the toy one down to its parameters."""
    fields = load(f'{path}:{variant}').model.to_dict()
    self.assertEqual(fields.pop('name'), variant)
    models.get_model(variant, **fields)
    smoke = load(f'{path}:{variant},smoke')
    self.assertEqual(smoke.model.name, variant)
    loop_checks.check_config(smoke)
    check_rules(smoke, parameter_shapes(smoke))

  def test_there_are_recipes(self):
    self.assertIn('quickstart', [path.stem for path in RECIPES])
