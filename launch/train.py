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

--config.rounds.max_rounds=6 trains in rounds: until it overfits, then again
from the best checkpoint at a lower rate and a stronger weight decay, until that
helps no more (docs/recipes.md). Each is a run in WORKDIR/round_K.

--dry_run compiles the step for devices that are not here and says what it needs
on each, and refuses what cannot fit, with what would; no workdir, and with
--identities no data (docs/scaling.md):

  python -m launch.train --dry_run --devices=64 --identities=10000000 \
    --config=configs/mobilefacenet.py --config.data.batch_size=4096

--profile_steps=10:15 profiles those steps. A run whose loss was no number says
which step and images it was; --replay_step=STEP goes there again from the last
checkpoint before it, changes nothing, and reports what is not finite.

Several processes, on one host by --local_processes=8, under Slurm, on GKE and
TPU pods by --distributed, anywhere by --coordinator: launch/README.md. SIGTERM
saves and exits with code 75: the same command continues.

The result on the last line: step, loss, model_dir, images_per_second and the
last values of the recipe's evaluators.
"""

import shlex
import sys

from absl import flags
from ml_collections import config_flags

from launch import flags as shared_flags
from launch import processes, run

CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'Recipe to train by, a file of configs/.', lock_config=True
)
WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the run: checkpoints, metrics, models.'
)
CPU_DEVICES = flags.DEFINE_integer(
  'cpu_devices', 0, 'Devices that a CPU is split in; 0: as many as its cores.'
)
PROFILE_STEPS = flags.DEFINE_string(
  'profile_steps', '', 'Steps to profile into WORKDIR/profile, such as 10:15.'
)
REPLAY_STEP = flags.DEFINE_integer(
  'replay_step',
  None,
  'Step to go to from the checkpoint before it, and to report on.',
  lower_bound=1,
)
DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Only say what a step would need on --devices devices.'
)
DEVICES = flags.DEFINE_integer(
  'devices', None, 'Devices of a dry run, all of a job.', lower_bound=1
)
DEVICE_MEMORY = flags.DEFINE_float(
  'device_memory', None, 'GiB of each device of a dry run: 80 if not given.'
)
IDENTITIES = flags.DEFINE_integer(
  'identities',
  None,
  'Identities of a dry run; by default those of config.data.path.',
  lower_bound=1,
)
_PROCESSES = shared_flags.processes()
flags.mark_flag_as_required('config')


def main(argv):
  """Trains by the config; returns step, loss, model_dir and speed."""
  from facejax.errors import UsageError

  if argv:
    raise UsageError(
      f'unexpected argument {argv[0]!r}: fields are set by --config.NAME=VALUE'
    )
  if DRY_RUN.value:
    return _dry_run()
  for flag in (DEVICES, DEVICE_MEMORY, IDENTITIES):
    if flag.value is not None:
      raise UsageError(f'--{flag.name} is for --dry_run')
  if not WORKDIR.value:
    raise UsageError('--workdir: name a folder for the run')
  if _PROCESSES.local_processes.value > 1:
    return processes.start_children(_PROCESSES, cpu_devices=CPU_DEVICES.value)
  return _train()


def _dry_run():
  """What a step needs, without training."""
  from facejax.errors import UsageError
  from facejax.training import dry_run

  for flag in (WORKDIR, REPLAY_STEP, PROFILE_STEPS):
    if flag.value:
      raise UsageError(
        f'--{flag.name} means nothing to --dry_run: leave it out'
      )
  if DEVICES.value is None:
    raise UsageError('--dry_run: say --devices, how many there will be')
  return dry_run.run(
    CONFIG.value,
    num_devices=DEVICES.value,
    num_identities=IDENTITIES.value,
    device_memory=DEVICE_MEMORY.value or dry_run.DEVICE_MEMORY,
  )


def _train():
  """Trains in this process; None in all but the first of several."""
  import jax

  from facejax.parallel import mesh, multihost
  from facejax.training import loop, loop_rounds, replay

  with processes.joined(_PROCESSES) as num_processes:
    batch_size = CONFIG.value.data.batch_size // num_processes
    mesh.split_cpu(batch_size, CPU_DEVICES.value)
    multihost.open_devices()
    in_rounds = CONFIG.value.rounds.max_rounds > 0
    if REPLAY_STEP.value is not None:
      again = loop_rounds.replay_step if in_rounds else replay.replay
      return again(CONFIG.value, WORKDIR.value, REPLAY_STEP.value)
    alone = processes.without_process_flags(sys.argv[1:])
    if jax.default_backend() == 'cpu':  # Partial FC samples by device
      alone.append(f'--cpu_devices={jax.device_count()}')
    result = (loop_rounds if in_rounds else loop).train(
      CONFIG.value,
      WORKDIR.value,
      profile_steps=PROFILE_STEPS.value,
      command=shlex.join(['python', '-m', 'launch.train', *alone]),
    )
    return result if jax.process_index() == 0 else None


if __name__ == '__main__':
  run.run(main)
