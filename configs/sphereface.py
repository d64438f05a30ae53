r"""The SphereFace nets on CASIA-WebFace, as their authors train them.

Liu et al., SphereFace: Deep Hypersphere Embedding for Face Recognition, 2017,
https://github.com/wy1iu/sphereface: A-Softmax with m = 4 and lambda = max(5,
1000 / (1 + 0.12 step)), batch 256, a rate of 0.1 divided by 10 at 16K and 24K
of 28K steps, decay 5e-4. Biases learn at twice the rate and do not decay; those
of the residual units stay at zero.

Published, not ours: LFW 99.13 to 99.30 % over five runs of the authors' code
with 20 layers, 99.42 % in the paper with 64; 10,572 people of CASIA (0166921,
1056413 and 1193098 left out), the features of a face and its mirror image put
one behind the other (--mode=sphereface of launch.evaluate).

What differs: class weights get the true gradient of the rescaled target, in the
authors' code that of a loss without a margin; and they begin within Xavier's
bound for 512 inputs and all outputs, there for the inputs alone.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/sphereface.py:sphereface20 \
    --config.data.path=out/casia --workdir=out/sphereface20
"""

from ml_collections import ConfigDict

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
  config = get_casia(smoke)
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 96),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
  }
  # Caffe's PReLU decays as weights do.
  config.weight_decay = (('.*(kernel|slope)|head/class_weights', 5e-4),)
  has_units = variant != 'sphereface4'
  if has_units:
    config.frozen = ('stage.*_unit.*/bias',)
  if smoke and has_units:
    config.model.units = (0, 1, 1, 0)
  return config


def get_casia(smoke: bool) -> ConfigDict:
  """The loss and the schedule, without a net."""
  config = base.get_base()
  config.data.crop = (112, 96)
  config.data.batch_size = 16 if smoke else 256
  config.total_steps = 4 if smoke else 28_000
  config.loss.name = 'a_softmax'
  config.loss.margin = 4.0
  config.loss.lambda_base = 1000.0
  config.loss.lambda_gamma = 0.12
  config.loss.lambda_power = 1.0
  config.loss.lambda_min = 5.0
  config.loss.rescale_gradient = True
  config.learning_rate.milestones = (16_000, 24_000)
  config.rate_multipliers = (('.*bias', 2.0),)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
