r"""Improved residual nets, with squeeze-excite or not, on CASIA-WebFace.

The nets are those of TreB1eN/InsightFace_Pytorch and of AdaFace;
configs/iresnet.py has the family of arcface_torch. Both recipes: batch 512, a
rate of 0.1, decay 5e-4, dropout 0.4.

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
2019: the rate divided by 10 at 20K and 28K of 32K steps. Published, not ours:
LFW 99.53 % with 50 layers. The input is (x - 127.5) / 128, where
InsightFace_Pytorch divides by 127.5.

Kim et al., AdaFace: Quality Adaptive Margin for Face Recognition, 2022
(`adaface`), https://github.com/mk-minchul/AdaFace: the rate divided by 10 after
12, 20 and 24 of 26 epochs; the last norm has neither scale nor bias, and all
that is not of a norm decays. Published, not ours: ir18 on CASIA LFW 99.13 %,
CFP-FP 92.59 %, AgeDB-30 92.72 %. That schedule is of the authors' MS1MV2 runs,
they publish none for CASIA. Of their three augmentations, each with probability
0.2, low resolution and colours are here by our means, a part of the face on
black is not.

Not run here; meant for one accelerator of 40 GB or more, or several.

  python -m launch.train --config=configs/ir.py:ir_se50 \
    --config.data.path=out/casia --workdir=out/ir_se50
  python -m launch.train --config=configs/ir.py:ir18,adaface \
    --config.data.path=out/casia --workdir=out/adaface
"""

from ml_collections import ConfigDict

from configs import base

VARIANTS = (
  'ir50',
  'ir18',
  'ir34',
  'ir100',
  'ir_se18',
  'ir_se34',
  'ir_se50',
  'ir_se100',
)
STEPS_PER_EPOCH = 490_623 // 512


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, options = base.parse_words(arg, VARIANTS, ('adaface', 'smoke'))
  smoke = 'smoke' in options
  config = get_residual(variant, smoke)
  if 'adaface' in options:
    _set_adaface(config)
  else:
    config.total_steps = 32_000
    config.learning_rate.milestones = (20_000, 28_000)
    config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  if smoke:
    config.total_steps = 4
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config


def get_residual(variant: str, smoke: bool) -> ConfigDict:
  """What both families of improved residual nets have in common."""
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 112),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
    'dropout': 0.4,
  }
  if smoke:
    config.model.units = (1, 1, 1, 1)
  config.data.batch_size = 16 if smoke else 512
  return config


def _set_adaface(config: ConfigDict) -> None:
  """The loss, schedule and augmentation of AdaFace's authors."""
  config.loss.name = 'adaface'
  config.total_steps = 26 * STEPS_PER_EPOCH
  config.learning_rate.milestones = tuple(
    epoch * STEPS_PER_EPOCH for epoch in (12, 20, 24)
  )
  config.frozen = ('embed_norm/(scale|bias)',)
  config.weight_decay = (('.*norm/.*', 0.0), ('.*', 5e-4))
  augmentation = config.data.augmentation
  augmentation.low_resolution = 0.2
  augmentation.low_resolution_size = 22  # a fifth of 112
  augmentation.color = 0.2
