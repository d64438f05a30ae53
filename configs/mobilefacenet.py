r"""MobileFaceNet on CASIA-WebFace or MS-Celeb-1M, as its paper trains it.

Chen et al., MobileFaceNets, 2018, https://arxiv.org/abs/1804.07573, section 4:
ArcFace, SGD with momentum 0.9, batch 512, weight decay 4e-5, and 4e-4 from the
global operator on; PReLU's slopes do not decay. On CASIA a rate of 0.1 divided
by 10 at 36K, 52K and 58K of 60K steps. The paper does not say ArcFace's scale;
64 is that of ArcFace's own paper.

Published, not ours (LFW, AgeDB-30, %): mobilefacenet 99.28, 93.05; with 112x96
99.18, 92.96; with 96x96 99.08, 92.63; with relu 99.15, 92.83; mobilefacenet_m
99.18, 92.67; mobilefacenet_s 99.00, 92.48.

`msceleb`: cleaned MS-Celeb-1M, 3.8 million images of 85 thousand people. The
paper gives no schedule for it; this is ArcFace's for MS1MV2, the rate divided
by 10 at 100K and 160K of 180K steps. Published, not ours: mobilefacenet LFW
99.55 %, AgeDB-30 96.07 %, MegaFace 90.16 % verified at a false-accept rate of
1e-6, 92.59 % on the refined list; with 112x96 LFW 99.53 %, with 96x96 99.52 %.

Not run here: CASIA-WebFace (10,575 people, about half a million images) is to
be had under its own licence alone. At the 24 images a second of two CPU cores
it would take two weeks; it is meant for a GPU or more.

  python -m launch.prepare_data --source=recordio --output=out/casia \
    --input=faces_webface_112x112
  python -m launch.train --config=configs/mobilefacenet.py \
    --config.data.path=out/casia --workdir=out/mobilefacenet
  python -m launch.train --workdir=out/s \
    --config=configs/mobilefacenet.py:mobilefacenet_s,112x96 \
    --config.data.path=out/casia
  python -m launch.train --config=configs/mobilefacenet.py:msceleb \
    --config.data.path=out/msceleb --workdir=out/msceleb_112

The words after the colon: one of `VARIANTS`; msceleb; 112x96 or 96x96 (cut from
the middle of the crop); relu; se, squeeze-and-excite blocks of ratio 16;
straight_through, the gradient of InsightFace's ArcFace; partial_fc, a tenth of
the identities in a step; smoke. Should the loss not fall, let the margin rise:
--config.loss.warmup_steps=1000.
"""

from ml_collections import ConfigDict

from configs import base

VARIANTS = ('mobilefacenet', 'mobilefacenet_m', 'mobilefacenet_s')
SIZES = {'112x96': (112, 96), '96x96': (96, 96)}


def get_config(arg: str = ''):
  """The recipe of a variant; `smoke` runs a handful of steps of the same."""
  variant, options = base.parse_words(
    arg, VARIANTS, ('msceleb', *SIZES, 'relu', 'se', *base.HEAD_WORDS, 'smoke')
  )
  sizes = sorted(options & {*SIZES})
  if len(sizes) > 1:
    raise ValueError(f'{" and ".join(sizes)}: name one size')
  image_size = SIZES[sizes[0]] if sizes else (112, 112)
  config = get_casia()
  if 'msceleb' in options:
    config.total_steps = 180_000
    config.learning_rate.milestones = (100_000, 160_000)
  base.set_head(config, options)
  config.data.crop = image_size
  config.model = ConfigDict(
    {'name': variant, 'image_size': image_size, 'width': 1.0, 'dropout': 0.0}
  )
  if variant == 'mobilefacenet':
    config.model.embedding_size = 128
  if 'relu' in options:
    config.model.activation = 'relu'
  if 'se' in options:
    config.model.se_ratio = 16
  if 'smoke' in options:
    shrink(config)
    config.model.width = 0.25
    config.model.stages = ((2, 64, 1, 2), (2, 128, 1, 2))
  return config


def get_casia() -> ConfigDict:
  """What the paper's nets have in common: everything but the net."""
  config = base.get_base()
  config.total_steps = 60_000
  config.data.batch_size = 512
  config.learning_rate.milestones = (36_000, 52_000, 58_000)
  config.checkpoint.every_steps = 2000
  return config


def shrink(config: ConfigDict) -> None:
  """A handful of steps on a quarter of the pixels a side."""
  config.total_steps = 4
  config.log_every_steps = 1
  config.data.batch_size = 16
  config.checkpoint.every_steps = 2
  config.model.image_size = tuple(side // 4 for side in config.model.image_size)
  if config.learning_rate.milestones:
    config.learning_rate.milestones = (2, 3)
