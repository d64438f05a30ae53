r"""LeNet-5 on handwritten digits, the smallest net of Deep Compression.

LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998, as
Caffe has it. Published, not ours: 0.8 % error on MNIST's test digits (Han et
al., Deep Compression, 2016, Table 1).

Data: the digits as a prepared set of ten "people", 0 to 9. Digits enlarged to
112 x 112 by repeating every pixel four times come back at 28 x 28 by averaging,
but for what JPEG loses:

  python -m launch.prepare_data --source=folder --input=out/digits \
    --output=out/mnist

What is different here: Caffe trains by a softmax over a biased classifier, here
NormFace stands in for it, a softmax of scaled cosines. Caffe's rate falls as
0.01 (1 + step / 10,000)^-0.75 and its biases learn at twice it; here all fall
along half a cosine. Caffe's input is pixel / 256, here (x - 127.5) / 128.

Not run here; minutes on two CPU cores.

  python -m launch.train --config=configs/lenet5.py \
    --config.data.path=out/mnist --workdir=out/lenet5
"""

from configs import base

VARIANTS = ('lenet5',)


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
  config.loss.name = 'normface'
  config.loss.scale = 16.0
  config.loss.margin = 0.0
  config.learning_rate.kind = 'cosine'
  config.learning_rate.peak = 0.01
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
