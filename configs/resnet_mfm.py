r"""The residual net with max-feature-map convolutions on CASIA-WebFace.

Li, Deep Network Model Compression and its Application to Face Recognition,
thesis, 2018: A-Softmax with m = 4. Published, not ours: LFW 99.22 %.

What differs: the thesis has no table of layers, the net is our reading of it
(facejax/models/resnet_mfm.py). Nor has it a schedule; this is that of
configs/sphereface.py, lambda and rates of the biases included, on whose code
the thesis builds.

Not run here; meant for one accelerator of 16 GB or more.

  python -m launch.train --config=configs/resnet_mfm.py \
    --config.data.path=out/casia --workdir=out/resnet_mfm
"""

from configs import base, sphereface

VARIANTS = ('resnet_mfm',)


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  variant, smoke = base.parse_arg(arg, VARIANTS)
  config = sphereface.get_casia(smoke)
  config.model = {
    'name': variant,
    'image_size': (32, 32) if smoke else (112, 96),
    'width': 0.125 if smoke else 1.0,
    'embedding_size': 32 if smoke else 512,
    'units': (0, 1, 1, 0) if smoke else (1, 2, 4, 1),
  }
  return config
