r"""MobileNetV2 on CASIA-WebFace, two baselines of the MobileFaceNet paper.

Everything is as in configs/mobilefacenet.py but the net. `mobilenet_v2` pools
its map by the mean, `mobilenet_v2_gdconv` by a linear global depthwise
convolution, which is what the paper is about; the embedding has 1280 numbers.

Published, not ours (LFW, AgeDB-30, %; ms on a Snapdragon 820): mobilenet_v2
98.58, 88.81, 49 ms; mobilenet_v2_gdconv 98.88, 90.67, 50 ms (MobileFaceNets,
Table 2). Not run here.

  python -m launch.train --config=configs/mobilenet_v2.py \
    --config.data.path=out/casia --workdir=out/mobilenet_v2
  python -m launch.train --config=configs/mobilenet_v2.py:mobilenet_v2_gdconv \
    --config.data.path=out/casia --workdir=out/mobilenet_v2_gdconv
"""

from ml_collections import ConfigDict

from configs import base, mobilefacenet

VARIANTS = ('mobilenet_v2', 'mobilenet_v2_gdconv')


def get_config(arg: str = ''):
  """The recipe of a variant; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = mobilefacenet.get_casia()
  config.model = ConfigDict(
    {'name': variant, 'image_size': (112, 112), 'width': 1.0, 'dropout': 0.0}
  )
  config.weight_decay = (('head/class_weights', 4e-4), ('.*kernel', 4e-5))
  if variant == 'mobilenet_v2_gdconv':
    config.weight_decay = (('global/conv/kernel', 4e-4), *config.weight_decay)
  if smoke:
    mobilefacenet.shrink(config)
    config.model.width = 0.25
    config.model.stages = ((1, 16, 1, 1), (6, 24, 1, 2), (6, 32, 1, 2))
    config.model.last_features = 64
  return config
