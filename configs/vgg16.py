r"""VGG-Face on CASIA-WebFace, at the crop's own size.

Parkhi et al., Deep Face Recognition, 2015: softmax over a biased classifier,
batch 64, a rate of 0.01, dropout 0.5, decay 5e-4. Published, not ours: LFW
98.95 % with 2.6 million images of 2,622 people, after a triplet loss that is no
part of this recipe; rank-1 83.69 % on LFW's closed set retargeted to CASIA, as
the weighted-hashing paper (2019) measured it.

What differs: the published input is 224 x 224 pixels of 0 .. 255 less the mean
of the training faces; here it is (x - 127.5) / 128 at 112 x 96, which keeps fc6
at 4 x 3 positions. The paper's size enlarges the crops:

  --config.model.image_size='(224, 224)' --config.data.crop='(112, 112)'

The steps at which the rate falls are ours, the paper waited for the validation
error. Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/vgg16.py \
    --config.data.path=out/casia --workdir=out/vgg16
"""

from configs import base

VARIANTS = ('vgg16',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 96),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 4096,
    'dropout': 0.5,
  }
  config.data.crop = (112, 96)
  config.data.batch_size = 16 if smoke else 64
  config.total_steps = 4 if smoke else 110_000
  config.loss.name = 'softmax'
  config.head.initializer = 'normal'
  config.learning_rate.peak = 0.01
  config.learning_rate.milestones = (60_000, 85_000, 100_000)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 5000
  return config
