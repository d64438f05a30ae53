"""A tiny MobileFaceNet on synthetic faces: the demonstration of a whole run.

ArcFace, float for the first two thirds, ternary for the rest. The faces are
drawn, not photographed: the accuracy says that the machinery works, nothing
about real faces. It is what `make quickstart` trains.

  python -m launch.quickstart --output=out/quickstart

Expected: float and packed verification accuracy above 90 % on synthetic
people never seen in training; about three minutes on two cores.
"""

from configs import base


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps."""
  config = base.get_base()
  smoke = arg == 'smoke'
  config.total_steps = 6 if smoke else 450
  config.model.image_size = (32, 32)
  config.model.width = 0.25
  config.data.path = 'out/quickstart/data'
  config.data.batch_size = 16 if smoke else 128
  config.data.crop = (96, 96)
  config.data.augmentation.shift = 3
  config.loss.scale = 24.0
  config.loss.margin = 0.3
  config.loss.warmup_steps = config.total_steps // 3
  config.learning_rate.kind = 'cosine'
  config.learning_rate.warmup_steps = 2 if smoke else 30
  config.ternary.from_step = config.total_steps * 2 // 3
  config.checkpoint.every_steps = 3 if smoke else 150
  config.log_every_steps = 1 if smoke else 10
  config.evaluators = {
    'synthetic': {
      'kind': 'synthetic',
      'every_steps': 0,
      'num_identities': 8 if smoke else 60,
      'images_per_identity': 4 if smoke else 10,
      'seed': 0,
      'first_identity': 100_000,
      'num_pairs': 40 if smoke else 2000,
    }
  }
  if smoke:
    config.model.stages = ((2, 64, 1, 2), (2, 128, 1, 2))
  return config
