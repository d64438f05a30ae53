r"""A half-width MobileFaceNet at 48 x 48, from scratch, on two cores.

Data: the clean set of the real faces (379 people, 16,732 crops; nobody who is
in LFW by name, or may be by the look of it: docs/data.md). ArcFace with a
margin that rises from zero, SGD with cosine decay. Input size, scale and margin
were chosen on LFW's View 1 lists.

Result: LFW View 2 89.42 % (sphereface mode), 88.75 % (plain), in 36 minutes on
two CPU cores that others used too.

  python -m launch.prepare_data --source=folder --output=out/clean \
    --input=train_112_pins.zip,train_112_glint.zip,train_112_celeba.zip \
    --exclude=train_names_in_lfw.txt,docs/celeba_in_lfw.txt
  python -m launch.train --config=configs/mobilefacenet_faces.py \
    --config.data.path=out/clean --workdir=out/faces

The ternary model starts from it: configs/mobilefacenet_faces_ternary.py.
"""

from configs import base

IMAGES = 600_000  # seen by the end, changed at random each time anew


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  config = base.get_base()
  smoke = arg == 'smoke'
  config.data.batch_size = 16 if smoke else 128
  config.total_steps = 4 if smoke else IMAGES // config.data.batch_size
  config.model.image_size = (48, 48)
  config.model.width = 0.5
  config.model.dropout = 0.2
  config.data.crop = (96, 96)
  augmentation = config.data.augmentation
  augmentation.shift = 3
  augmentation.warp = 0.3
  augmentation.warp_scale = 0.06
  augmentation.warp_rotation = 6.0
  augmentation.color = 0.3
  augmentation.color_strength = 0.2
  augmentation.occlusion = 0.1
  augmentation.occlusion_size = 0.4
  # Few people: a small scale and margin generalise better than ArcFace's own.
  config.loss.scale = 20.0
  config.loss.margin = 0.2
  config.loss.warmup_steps = config.total_steps * 3 // 10
  config.learning_rate.kind = 'cosine'
  config.learning_rate.warmup_steps = min(100, config.total_steps // 4)
  # Far more than the paper's decay: ten thousand images, not millions.
  config.weight_decay = (('.*kernel|head/class_weights', 1e-3),)
  config.checkpoint.every_steps = 2 if smoke else 1000
  if smoke:
    config.model.stages = ((2, 64, 1, 2), (2, 128, 1, 2))
  return config
