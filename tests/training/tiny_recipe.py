"""A recipe whose step compiles in seconds, with everything switched on."""

from configs import base

STAGES = ((2, 64, 1, 2), (2, 64, 1, 1))


def get_config(arg: str = ''):
  """Six steps on generated faces; `ternary` turns ternary after the third."""
  config = base.get_base()
  config.unlock()
  config.model.stages = STAGES
  config.lock()
  config.total_steps = 6
  config.log_every_steps = 1
  config.model.image_size = (32, 32)
  config.model.width = 0.25
  config.model.embedding_size = 16
  config.data.batch_size = 16
  config.data.augmentation.shift = 2
  config.loss.scale = 16.0
  config.loss.margin = 0.3
  config.loss.warmup_steps = 4
  config.learning_rate.kind = 'cosine'
  config.learning_rate.warmup_steps = 2
  config.checkpoint.every_steps = 2
  config.ternary.from_step = 3 if arg == 'ternary' else -1
  config.evaluators = {
    'synthetic': {
      'kind': 'synthetic',
      'every_steps': 2,
      'num_identities': 20,
      'images_per_identity': 3,
      'seed': 0,
      'first_identity': 1000,
      'num_pairs': 20,
    }
  }
  return config
