r"""Trains a face model, or continues a run that was interrupted.

  python -m launch.train --config=configs/mobilefacenet_faces.py \
    --config.data.path=out/clean --workdir=out/faces

A recipe's docstring says what it should reach, on what, in what time.
`--config=RECIPE.py:smoke` runs the same recipe at toy size. Any field can be
set: --config.total_steps=2000, --config.init_from=out/faces/model,
--config.ternary.from_step=0, --config.frozen='("stem/.*",)'.

The same command again continues after the last checkpoint, with the same
parameters, momentum and order of images as if nothing had happened; a larger
total_steps trains on. Another recipe needs another workdir. On a CPU the batch
is split over as many devices as there are cores (--cpu_devices).

The result on the last line: step, loss, model_dir, images_per_second and the
last values of the recipe's evaluators.
"""

from absl import flags
from ml_collections import config_flags

from launch import run

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'Recipe to train by, a file of configs/.', lock_config=True
)
WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the run: checkpoints, metrics, models.'
)
CPU_DEVICES = flags.DEFINE_integer(
  'cpu_devices', 0, 'Devices that a CPU is split in; 0: as many as its cores.'
)
flags.mark_flags_as_required(['config', 'workdir'])


def main(argv):
  """Trains by the config; returns step, loss, model_dir and speed."""
  from facejax.errors import UsageError
  from facejax.parallel import mesh
  from facejax.training import loop

  mesh.split_cpu(CONFIG.value.data.batch_size, CPU_DEVICES.value)
  if argv:
    raise UsageError(
      f'unexpected argument {argv[0]!r}: fields are set by --config.NAME=VALUE'
    )
  return loop.train(CONFIG.value, WORKDIR.value)


if __name__ == '__main__':
  run.run(main)
