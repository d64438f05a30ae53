r"""The ternary continuation of configs/mobilefacenet_faces.py.

Starts from its float model and trains with straight-through ternary weights
from the first step on, one scale a filter; depthwise and global kernels stay
float. The model directory is packed, 2 bits a ternary weight.

Result: LFW View 2 89.77 % (sphereface mode), 88.52 % (plain) from the packed
model, after 9 minutes more on two CPU cores.

  python -m launch.train --config=configs/mobilefacenet_faces_ternary.py \
    --config.data.path=out/clean --config.init_from=out/faces/model \
    --workdir=out/faces_ternary
"""

from configs import mobilefacenet_faces

IMAGES = 165_000


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  config = mobilefacenet_faces.get_config(arg)
  if arg != 'smoke':
    config.total_steps = IMAGES // config.data.batch_size
  config.ternary.from_step = 0
  config.loss.warmup_steps = 0
  config.learning_rate.peak = 0.03
  return config
