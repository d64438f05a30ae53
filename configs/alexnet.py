r"""AlexNet on faces, the large net of Deep Compression.

Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural
Networks, 2012, as Caffe has it: softmax over a biased classifier, batch 256, a
rate of 0.01 that falls to a tenth four times, decay 5e-4; biases learn at twice
the rate and do not decay. Published, not ours: 57.2 % top-1 on ImageNet's
validation images (Han et al., Deep Compression, 2016, Table 1); nothing is
published for faces.

What differs: the 450,000 steps are cut to a fifth, the rate falls in
proportion. Caffe's input is 227 x 227 pixels of 0 .. 255 less the mean image,
in BGR; here it is (x - 127.5) / 128 in RGB, crops of 112 x 112 enlarged.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/alexnet.py \
    --config.data.path=out/casia --workdir=out/alexnet
"""

from configs import base

VARIANTS = ('alexnet',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (67, 67) if smoke else (227, 227),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 4096,
    'dropout': 0.5,
  }
  config.data.batch_size = 16 if smoke else 256
  config.total_steps = 4 if smoke else 90_000
  config.loss.name = 'softmax'
  config.head.initializer = 'normal'
  config.learning_rate.peak = 0.01
  config.learning_rate.milestones = (20_000, 40_000, 60_000, 80_000)
  config.rate_multipliers = (('.*bias', 2.0),)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 5000
  return config
