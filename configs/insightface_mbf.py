r"""InsightFace's own MobileFaceNets on MS1MV2, as arcface_torch trains them.

https://github.com/deepinsight/insightface, recognition/arcface_torch,
configs/ms1mv2_mbf.py: ArcFace with scale 64 and margin 0.5, whose gradient goes
straight through the margin; SGD with momentum 0.9, 40 epochs of 5,822,653
images in batches of 1024, a rate that falls from 0.1 in a line to zero, weight
decay 1e-4 on all parameters, gradients of the net clipped at a norm of 5, class
weights from N(0, 0.01), mirroring the only augmentation.

Published, not ours: mbf IJB-C 93.61 % at a false-accept rate of 1e-4 and 90.28
at 1e-5, on MS1MV2. Nothing is published of mbf_large.

What differs: an earlier scheduler of theirs squared that line
(--config.learning_rate.power=2), and they compute in half precision
(--config.dtype=bfloat16).

Not run here: MS1MV2 (85,742 people) is to be had from InsightFace. It took them
eight GPUs.

  python -m launch.prepare_data --source=recordio --input=faces_emore \
    --output=out/ms1mv2
  python -m launch.train --config=configs/insightface_mbf.py \
    --config.data.path=out/ms1mv2 --workdir=out/mbf
  python -m launch.train --config=configs/insightface_mbf.py:mbf_large \
    --config.data.path=out/ms1mv2 --workdir=out/mbf_large

The words after the colon: one of `VARIANTS`; partial_fc, a tenth of the
identities in a step; smoke.
"""

from ml_collections import ConfigDict

from configs import base, mobilefacenet

VARIANTS = ('mbf', 'mbf_large')
IMAGES = 5_822_653
EPOCHS = 40


def get_config(arg: str = ''):
  """The recipe of a variant; `smoke` runs a handful of steps of the same."""
  variant, options = base.parse_words(arg, VARIANTS, ('partial_fc', 'smoke'))
  config = base.get_base()
  config.data.batch_size = 1024
  # An epoch leaves out its last, smaller batch.
  config.total_steps = IMAGES // config.data.batch_size * EPOCHS
  config.model = ConfigDict(
    {'name': variant, 'image_size': (112, 112), 'embedding_size': 512}
  )
  base.set_head(config, {'straight_through', *options})
  config.head.initializer = 'normal'
  config.optimizer.clip_norm = 5.0
  config.learning_rate.kind = 'poly'
  config.weight_decay = (('.*', 1e-4),)
  config.checkpoint.every_steps = 5000
  if 'smoke' in options:
    mobilefacenet.shrink(config)
    config.model.blocks = (1, 0, 0, 0)
    config.model.scale = 1
  return config
