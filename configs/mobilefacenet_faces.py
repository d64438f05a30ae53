"""A half-width MobileFaceNet at 48 x 48, from scratch, on two cores.

Data: the clean set of the real faces (392 people, 17,029 crops; nobody who is
in LFW by name). ArcFace with a margin that rises from zero, SGD with cosine
decay. Input size, width, scale and warm-up were chosen on LFW's View 1 lists.

  python -m launch.prepare_data --source=folder --output=out/clean \
    --input=train_112_pins.zip,train_112_glint.zip,train_112_celeba.zip \
    --exclude=train_names_in_lfw.txt
  python -m launch.train --config=configs/mobilefacenet_faces.py \
    --config.data.path=out/clean --workdir=out/faces

The ternary model starts from it: configs/mobilefacenet_faces_ternary.py.
"""

from configs import base

IMAGES = 500_000  # seen by the end, mirrored and shifted each time anew


def get_config(arg: str = ''):
  """The recipe; `smoke` runs a handful of steps of the same."""
  config = base.get_base()
  smoke = arg == 'smoke'
  config.data.batch_size = 16 if smoke else 128
  config.total_steps = 4 if smoke else IMAGES // config.data.batch_size
  config.model.image_size = (48, 48)
  config.model.width = 0.5
  config.data.crop = (96, 96)
  config.data.augmentation.shift = 3
  config.loss.scale = 30.0
  config.loss.margin = 0.4
  config.loss.warmup_steps = config.total_steps * 3 // 10
  config.learning_rate.kind = 'cosine'
  config.learning_rate.warmup_steps = min(100, config.total_steps // 4)
  # Ten times the paper's: ten thousand images, not millions.
  config.weight_decay = (('.*kernel|head/class_weights', 5e-4),)
  config.optimizer.nesterov = True
  config.checkpoint.every_steps = 2 if smoke else 500
  return config
