r"""The SphereFace nets on CASIA-WebFace.

Liu et al., SphereFace: Deep Hypersphere Embedding for Face Recognition, 2017.
Published, not ours: LFW 99.13 to 99.30 % over five runs of the authors' code
with 20 layers, 99.42 % in the paper with 64; 10,572 people of CASIA (0166921,
1056413 and 1193098 left out), the features of a face and its mirror image put
one behind the other.

What is different here: the authors train by A-Softmax with m = 4, here CosFace
stands in for it with the constants of AM-Softmax, its successor on the same
net (Wang et al., 2018). Biases learn at the common rate, not at twice it. The
schedule, the input (x - 127.5) / 128 and the biases of the residual units,
which stay at zero, are the authors'.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/sphereface.py:sphereface20 \
    --config.data.path=out/casia --workdir=out/sphereface20
"""

from configs import base

VARIANTS = (
  'sphereface20',
  'sphereface4',
  'sphereface10',
  'sphereface36',
  'sphereface64',
)


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 96),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
  }
  has_units = variant != 'sphereface4'
  if has_units:
    config.frozen = ('stage.*_unit.*/bias',)
  if smoke and has_units:
    config.model.units = (0, 1, 1, 0)
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
