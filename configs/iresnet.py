r"""The residual nets of ArcFace, as its paper trains them.

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
2019: scale 64 and margin 0.5, batch 512, decay 5e-4, a rate of 0.1 divided by
10 at 100K and 160K of 180K steps on MS1MV2 (5.8 million images of 85,742
people), at 20K and 28K of 32K on CASIA-WebFace (`casia`). The scale of the last
norm stays at one. Dropout of 0.4 and the true gradient are those of the
authors' first code, in MXNet.

Published, not ours: LFW 99.53 % with 50 layers and CASIA, 99.83 % with 100 and
MS1MV2.

The nets are those of arcface_torch, the authors' present code, which divides
pixels by 127.5 where it is 128 here. Its own runs drop nothing, let the rate
fall in a line, as configs/insightface_mbf.py does, and pass the gradient
straight through the margin (`straight_through`): IJB-C 95.97 % at a
false-accept rate of 1e-4 with 50 layers, 96.37 % with 100, on MS1MV2.

Not run here; meant for several accelerators of 40 GB or more.

  python -m launch.train --config=configs/iresnet.py:iresnet50,casia \
    --config.data.path=out/casia --workdir=out/iresnet50
  python -m launch.train --config=configs/iresnet.py:iresnet100 \
    --config.data.path=out/ms1mv2 --workdir=out/iresnet100

The words after the colon: one of `VARIANTS`; casia; straight_through;
partial_fc, a tenth of the identities in a step; smoke.
"""

from configs import base, ir

VARIANTS = ('iresnet50', 'iresnet18', 'iresnet34', 'iresnet100')


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, options = base.parse_words(
    arg, VARIANTS, ('casia', *base.HEAD_WORDS, 'smoke')
  )
  smoke = 'smoke' in options
  config = ir.get_residual(variant, smoke)
  base.set_head(config, options)
  if 'casia' in options:
    config.total_steps = 32_000
    config.learning_rate.milestones = (20_000, 28_000)
  else:
    config.total_steps = 180_000
    config.learning_rate.milestones = (100_000, 160_000)
  if smoke:
    config.total_steps = 4
  config.frozen = ('embed_norm/scale',)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
