r"""The residual nets of InsightFace's arcface_torch on MS1MV2.

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
2019. Published, not ours: LFW 99.83 % with 100 layers and 5.8 million images of
85,742 people.

Batch, schedule and decay are the paper's. As in arcface_torch nothing is
dropped, and the scale of the last norm stays at one; the input is
(x - 127.5) / 128, where arcface_torch divides by 127.5.

Not run here; meant for several accelerators of 40 GB or more.

  python -m launch.train --config=configs/iresnet.py:iresnet100 \
    --config.data.path=out/ms1mv2 --workdir=out/iresnet100
"""

from configs import base

VARIANTS = ('iresnet50', 'iresnet18', 'iresnet34', 'iresnet100')


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = base.get_base()
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 112),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
    'dropout': 0.0,
  }
  if smoke:
    config.model.units = (1, 1, 1, 1)
  config.data.batch_size = 16 if smoke else 512
  config.total_steps = 4 if smoke else 180_000
  config.frozen = ('embed_norm/scale',)
  config.learning_rate.milestones = (100_000, 160_000)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 5000
  return config
