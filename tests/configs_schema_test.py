"""The schema of the recipes, and the words that they are asked for by."""

import dataclasses
import inspect

import chex
import pytest
from absl.testing import parameterized
from ml_collections import config_dict

from configs import base, mobilefacenet
from facejax import models, trees
from facejax.compression import ternary
from facejax.data.augmentation import Augmentation
from facejax.losses.margin_constants import default_constants
from facejax.losses.margins import MARGINS
from facejax.parallel.head import MarginHead
from facejax.training import optimizer, recipe
from tests.recipe_case import load, parameter_shapes


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
    config = load(f'mobilefacenet.py:{words}')
    self.assertEqual(config.model.image_size, size)
    self.assertEqual(config.data.crop, size)

  def test_mobilefacenet_takes_what_its_paper_compares(self):
    config = load('mobilefacenet.py:relu,se,smoke')
    names = trees.named_leaves(parameter_shapes(config))
    self.assertFalse([name for name in names if 'slope' in name])
    self.assertIn('stage0_block0/se/reduce/kernel', names)

  def test_two_sizes_are_refused(self):
    with self.assertRaisesRegex(ValueError, '112x96 and 96x96: name one size'):
      mobilefacenet.get_config('112x96,96x96')

  def test_words_of_the_head_choose_its_gradient_and_its_sample(self):
    config = load('iresnet.py:partial_fc,straight_through')
    self.assertTrue(config.loss.straight_through)
    self.assertEqual(config.head.sample_rate, 0.1)
    self.assertEqual(config.head.initializer, 'normal')
    config = load('iresnet.py')
    self.assertIsNone(config.loss.straight_through)
    self.assertEqual(config.head.sample_rate, 1.0)

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

  def test_every_constant_of_every_loss_has_a_field_and_none_is_idle(self):
    types = {
      key: type(value)
      for name in MARGINS
      for key, value in default_constants(name).items()
    }
    types['margin'] = float  # also where A-Softmax takes a whole number
    loss = self.config.loss
    others = {'name', 'warmup_steps', 'filter_threshold'}
    fields = {*loss} - others
    self.assertEqual({key: loss.get_type(key) for key in fields}, types)

  def test_the_loss_leaves_every_constant_to_its_function(self):
    self.assertEqual(recipe.make_margin(self.config.loss).constants, ())

  def test_the_head_fields_are_those_of_the_head_with_its_defaults(self):
    fields = {
      field.name: field.default
      for field in dataclasses.fields(MarginHead)
      if field.name not in ('margin_loss', 'num_identities', 'mesh')
    }
    self.assertEqual(self.config.head.to_dict(), fields)

  def test_the_optimizer_fields_exist(self):
    known = inspect.signature(optimizer.make_optimizer).parameters
    self.assertContainsSubset(self.config.optimizer.keys(), known)
    known = inspect.signature(optimizer.make_schedule).parameters
    self.assertContainsSubset(self.config.learning_rate.keys(), known)

  def test_every_call_gives_a_config_of_its_own(self):
    self.config.loss.margin = 0.1
    self.assertIsNone(base.get_base().loss.margin)
    self.assertIsInstance(self.config.loss, config_dict.ConfigDict)

  def test_the_default_rules_fit_the_whole_net(self):
    params = parameter_shapes(self.config)
    del params['head']
    rules = self.config.ternary.rules
    ternary.check_ternary_rules(params, rules)
    chosen = ternary.granularities(params, rules)
    self.assertEqual(set(chosen.values()), {'filter'})
    for name, leaf in trees.named_leaves(params).items():
      depthwise = name.endswith('kernel') and leaf.shape[2] == 1
      kernel = name.endswith('kernel') and not depthwise
      self.assertEqual(name in chosen, kernel, name)
