r"""The residual net with max-feature-map convolutions on CASIA-WebFace.

Li, Deep Network Model Compression and its Application to Face Recognition,
thesis, 2018. Published, not ours: LFW 99.22 %.

What is different here: the thesis has no table of layers, the net is our
reading of it (facejax/models/resnet_mfm.py). It trains by A-Softmax with m = 4,
here CosFace stands in for it with the constants of AM-Softmax. The schedule is
that of SphereFace, on whose code the thesis builds; the input is
(x - 127.5) / 128.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/resnet_mfm.py \
    --config.data.path=out/casia --workdir=out/resnet_mfm
"""

from configs import base

VARIANTS = ('resnet_mfm',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 96),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
    'units': (0, 1, 1, 0) if smoke else (1, 2, 4, 1),
  }
  config.data.crop = (112, 96)
  config.data.batch_size = 16 if smoke else 256
  config.total_steps = 4 if smoke else 28_000
  config.loss.name = 'cosface'
  config.loss.scale = 30.0
  config.loss.margin = 0.35
  config.learning_rate.milestones = (16_000, 24_000)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
