r"""LeNet-5 on handwritten digits, the smallest net of Deep Compression.

LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998, as
Caffe has it: softmax over a biased classifier, batch 64, 10,000 steps, decay
5e-4; biases learn at twice the rate. Published, not ours: 0.8 % error on
MNIST's test digits (Han et al., Deep Compression, 2016, Table 1).

Data: the digits as a prepared set of ten "people", 0 to 9. Digits enlarged to
112 x 112 by repeating every pixel four times come back at 28 x 28 by averaging,
but for what JPEG loses:

  python -m launch.prepare_data --source=folder --input=out/digits \
    --output=out/mnist

What differs: Caffe's rate is 0.01 (1 + step / 10,000)^-0.75, here five falls by
a tenth follow it within 6 %. Caffe's input is pixel / 256, here
(x - 127.5) / 128.

Not run here; minutes on two CPU cores.

  python -m launch.train --config=configs/lenet5.py \
    --config.data.path=out/mnist --workdir=out/lenet5
"""

from configs import base

VARIANTS = ('lenet5',)
FACTOR = 0.9


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (28, 28),
    'image_channels': 1,
    'width': 0.25 if smoke else 1.0,
    'embedding_size': 32 if smoke else 500,
  }
  config.data.batch_size = 16 if smoke else 64
  config.data.augmentation.mirror = 0.0  # a mirrored 2 is no digit
  config.total_steps = 4 if smoke else 10_000
  config.loss.name = 'softmax'
  config.learning_rate.peak = 0.01
  config.learning_rate.factor = FACTOR
  # Where Caffe's rate passes the middle between two of ours.
  config.learning_rate.milestones = tuple(
    round(10_000 * (FACTOR ** (-(fall + 0.5) / 0.75) - 1)) for fall in range(5)
  )
  config.rate_multipliers = (('.*bias', 2.0),)
  config.weight_decay = (('.*', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
