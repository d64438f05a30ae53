r"""Light CNN on grey faces.

Wu et al., A Light CNN for Deep Face Representation with Noisy Labels, 2018, by
the authors' code, https://github.com/AlfredXiangWu/LightCNN: softmax, batch
128, a rate of 0.01 that falls to 0.457 of itself every ten of 80 epochs, decay
1e-4. The classifier learns at ten times the rate; biases learn at twice their
layer's and do not decay; the classifier of lightcnn29_v2 has none.

Published, not ours: LFW 98.70 % (9 layers), 99.40 % (29) and 99.43 % (29, the
second version) at the equal error rate, trained on MS-Celeb-1M.

What differs: the epochs are those of CASIA-WebFace's 455,000 images. The
authors' faces are aligned by eyes and mouth and cut at random to 128 of 144
pixels, here the crops of 112 are shifted by up to 6 and enlarged to 128. Their
input is pixel / 255, here (x - 127.5) / 128.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/lightcnn.py:lightcnn29_v2 \
    --config.data.path=out/casia --workdir=out/lightcnn29_v2
"""

from configs import base

VARIANTS = ('lightcnn9', 'lightcnn29', 'lightcnn29_v2')
STEPS_PER_EPOCH = 455_000 // 128


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (128, 128),
    'image_channels': 1,
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 256,
    'dropout': 0.7,
  }
  if smoke and variant != 'lightcnn9':
    config.model.units = (1, 0, 0, 1)
  if variant == 'lightcnn29_v2':
    config.frozen = ('head/bias',)  # it stays at zero
  config.data.batch_size = 16 if smoke else 128
  config.data.augmentation.shift = 6
  config.total_steps = 4 if smoke else 80 * STEPS_PER_EPOCH
  config.loss.name = 'softmax'
  config.learning_rate.peak = 0.01
  config.learning_rate.factor = 0.457305
  config.learning_rate.milestones = tuple(
    epoch * STEPS_PER_EPOCH for epoch in range(10, 80, 10)
  )
  config.rate_multipliers = (
    ('head/class_weights', 10.0),
    ('head/bias', 20.0),
    ('.*bias', 2.0),
  )
  config.weight_decay = (('.*kernel|head/class_weights', 1e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 5000
  return config
