r"""ShuffleNet 1x in three groups on CASIA-WebFace, of the MobileFaceNet paper.

Everything is as in configs/mobilefacenet.py but the net, whose embedding is the
pooled map of 960 numbers, so that of the larger weight decay only the class
weights' is left. facejax/models/shufflenet.py says how its paper is read.

Published, not ours: LFW 98.70 %, AgeDB-30 89.27 %, 27 ms an image on a
Snapdragon 820 (MobileFaceNets, Table 2). Not run here.

  python -m launch.train --config=configs/shufflenet.py \
    --config.data.path=out/casia --workdir=out/shufflenet
"""

from ml_collections import ConfigDict

from configs import base, mobilefacenet

VARIANTS = ('shufflenet',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = mobilefacenet.get_casia()
  config.model = ConfigDict(
    {'name': variant, 'image_size': (112, 112), 'width': 1.0}
  )
  config.weight_decay = (('head/class_weights', 4e-4), ('.*kernel', 4e-5))
  if smoke:
    mobilefacenet.shrink(config)
    config.model.width = 0.25
    config.model.stages = ((240, 2), (480, 1))
  return config
