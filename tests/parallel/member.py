"""A command of several processes for tests: a sum over a mesh, and faults.

Not a test. `python -m tests.parallel.member SCENARIO [MEMBER] --flags`; it
prints 'ready' when the processes have computed together, 'step N' at a stop.
"""

import sys
import time

from absl import flags

from launch import flags as shared_flags
from launch import processes, run
from tests.parallel.jobs import FIRST_STEP

CPU_DEVICES = flags.DEFINE_integer('cpu_devices', 1, 'Devices.')
PROCESSES = shared_flags.processes()


def main(argv):
  if PROCESSES.local_processes.value > 1:
    return processes.start_children(PROCESSES)
  import jax

  jax.config.update('jax_num_cpu_devices', CPU_DEVICES.value)
  from facejax.parallel import multihost

  with processes.joined(PROCESSES) as num_processes:
    multihost.open_devices()
    add = make_sum()
    result = {'processes': num_processes, 'sum': add()}
    if jax.process_index() == 0:
      print('ready', flush=True)
    act(add, *argv)
    return result if jax.process_index() == 0 else None


def make_sum():
  """A step: 1 + 2 + ... over all devices, each of which holds one number."""
  import jax
  import numpy as np

  from facejax.parallel import mesh as mesh_lib

  mesh = mesh_lib.make_mesh()
  numbers = np.arange(jax.device_count(), dtype=np.float32) + 1
  count = jax.local_device_count()
  mine = numbers[jax.process_index() * count :][:count]
  values = jax.make_array_from_process_local_data(
    mesh_lib.batch_sharding(mesh), mine
  )
  add = jax.jit(lambda x: x.sum(), out_shardings=mesh_lib.replicated(mesh))
  return lambda: float(add(values))


def act(add, scenario='none', member='-1'):
  import jax

  from facejax.errors import DataError

  is_it = jax.process_index() == int(member)
  if scenario == 'train':
    train(add)
  elif scenario == 'train_late':
    time.sleep(2)  # what SIGTERM finds before the first step
    train(add)
  elif scenario == 'sleep':
    time.sleep(60)
  elif scenario == 'slow_end' and is_it:
    time.sleep(2)
  elif scenario == 'fail':
    if is_it:
      time.sleep(0.5)
      raise DataError('a.jpg is broken')
    time.sleep(60)
  elif scenario == 'defect' and is_it:
    raise ZeroDivisionError('ours')
  elif scenario == 'defect':
    train(add)


def train(add):
  from facejax.errors import Interrupted
  from facejax.parallel import multihost

  with multihost.StopSignal() as stop, multihost.peer_failure():
    step = FIRST_STEP
    while True:
      step += 1
      add()
      time.sleep(0.02)
      if stop.reached(step):
        print(f'step {step}', file=sys.stderr)
        raise Interrupted(f'stopped after step {step}')


if __name__ == '__main__':
  run.run(main)
