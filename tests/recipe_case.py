"""Recipes as the tests of them take them: loaded, and as shapes."""

import pathlib

import jax
import jax.numpy as jnp
from ml_collections import config_dict
from ml_collections.config_flags import config_flags

from facejax import models, trees
from facejax.parallel import mesh as mesh_lib
from facejax.training import recipe
from tests.conftest import REPOSITORY

CONFIGS = pathlib.Path(REPOSITORY) / 'configs'
RECIPES = sorted(
  path
  for path in CONFIGS.glob('*.py')
  if path.name not in ('base.py', '__init__.py')
)


def load(path):
  """A recipe as the command loads it, locked; `path` may end in :WORDS."""
  return config_flags.ConfigFileFlagParser('config').parse(str(CONFIGS / path))


def parameter_shapes(config):
  """Shapes of all that a recipe trains for ten people.

  Parameters are those of every path of convolution; 'auto' traces two.
  """
  fields = config.model.to_dict()
  model = models.get_model(
    fields.pop('name'), conv_path='convolution', **fields
  )
  images = jax.ShapeDtypeStruct(
    (1, *model.image_size, model.image_channels), jnp.float32
  )
  head = recipe.make_head(config, 10, mesh_lib.make_mesh())

  def init(images):
    embedding, variables = model.init_with_output(
      jax.random.key(0), images, False
    )
    weights = head.init(jax.random.key(1), embedding.shape[1])
    return {**variables['params'], 'head': weights}

  return jax.eval_shape(init, images)


def check_rules(config, params):
  """Refuses rules of a recipe that match none of its parameters."""
  for name in ('weight_decay', 'rate_multipliers'):
    trees.check_rules(config[name], params, name)
  trees.check_rules([(f, 0) for f in config.frozen], params, 'frozen')


def field_types(config, prefix=''):
  """The type of every field, also of one that is None, by dotted name."""
  types = {}
  for key in config:
    name = f'{prefix}{key}'
    if name in ('model', 'evaluators'):
      continue
    if isinstance(config[key], config_dict.ConfigDict):
      types |= field_types(config[key], f'{name}.')
    else:
      types[name] = config.get_type(key)
  return types
