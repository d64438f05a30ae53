"""A recipe of one block for dry runs, and results made of numbers."""

from facejax.training import memory
from facejax.training.recipe import make_learner
from tests.training import tiny_recipe

IDENTITIES = 1001
BATCH = 16


def make_config(**fields):
  config = tiny_recipe.get_config()
  config.model.stages = tiny_recipe.STAGES[:1]
  config.update_from_flattened_dict(
    {name.replace('__', '.'): value for name, value in fields.items()}
  )
  return config


def tiny_learner(config, mesh, num_identities=IDENTITIES):
  return make_learner(
    config,
    num_identities=num_identities,
    mesh=mesh,
    conv_path='convolution',
  )


def result_of(parts, usable, devices=4, batch_size=64):
  """A result of `dry_run.estimate` with these parts, bytes."""
  whole = dict.fromkeys((*memory.EXACT, *memory.ESTIMATED), 0) | parts
  whole['total'] = sum(whole.values())
  return {
    'devices': devices,
    'batch_size': batch_size,
    'bytes_per_device': whole,
    'exact': list(memory.EXACT),
    'estimated': list(memory.ESTIMATED),
    'device_memory_bytes': usable,
    'usable_bytes': usable,
    'fits': whole['total'] <= usable,
  }
