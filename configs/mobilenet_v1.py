r"""MobileNetV1 on CASIA-WebFace, a baseline of the MobileFaceNet paper.

Everything is as in configs/mobilefacenet.py but the net, whose embedding is the
pooled map of 1024 numbers, so that of the larger weight decay only the class
weights' is left.

Published, not ours: LFW 98.63 %, AgeDB-30 88.95 %, 60 ms an image on a
Snapdragon 820 (MobileFaceNets, Table 2). Not run here; it computes 2.6 times
what MobileFaceNet does.

  python -m launch.train --config=configs/mobilenet_v1.py \
    --config.data.path=out/casia --workdir=out/mobilenet_v1
"""

from ml_collections import ConfigDict

from configs import base, mobilefacenet

VARIANTS = ('mobilenet_v1',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = mobilefacenet.get_casia()
  config.model = ConfigDict(
    {'name': variant, 'image_size': (112, 112), 'width': 1.0, 'dropout': 0.0}
  )
  config.weight_decay = (('head/class_weights', 4e-4), ('.*kernel', 4e-5))
  if smoke:
    mobilefacenet.shrink(config)
    config.model.width = 0.25
    config.model.blocks = ((64, 1), (128, 2), (256, 2))
  return config
