r"""Improved residual nets, with squeeze-excite or not, on CASIA-WebFace.

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
2019. Published, not ours: LFW 99.53 % with 50 layers, CASIA and a margin of
0.5. The nets are those of TreB1eN/InsightFace_Pytorch; configs/iresnet.py has
the family of arcface_torch.

Batch, schedule, decay and the dropout of 0.4 are the paper's; the input is
(x - 127.5) / 128, where InsightFace_Pytorch divides by 127.5.

Not run here; meant for one accelerator of 40 GB or more, or several.

  python -m launch.train --config=configs/ir.py:ir_se50 \
    --config.data.path=out/casia --workdir=out/ir_se50
"""

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


def get_config(arg: str = ''):
  """The recipe; a variant is another net, `smoke` a handful of steps."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
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
  config.total_steps = 4 if smoke else 32_000
  config.learning_rate.milestones = (20_000, 28_000)
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.ternary.rules = (('.*kernel', 'filter'),)
  config.checkpoint.every_steps = 2 if smoke else 2000
  return config
