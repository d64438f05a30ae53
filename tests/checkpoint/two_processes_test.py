import os
import socket
import subprocess
import sys

import chex
import numpy as np

from facejax.checkpoint.manager import CheckpointStore
from facejax.checkpoint.model_directory import read_model_directory
from facejax.compression import packed
from tests.checkpoint.states import RULES, abstract, make_state
from tests.conftest import REPOSITORY

_PROCESS = """
import os, sys
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'
import jax
import orbax.checkpoint as ocp
jax.config.update('jax_cpu_collectives_implementation', 'gloo')
index, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.distributed.initialize(f'127.0.0.1:{port}', 2, index)
from jax.sharding import NamedSharding, PartitionSpec
from facejax import trees
from facejax.checkpoint.manager import CheckpointStore
from facejax.checkpoint.model_directory import FIELDS, write_model_directory
from tests.checkpoint.states import RULES, abstract, make_state

mesh = jax.make_mesh((4,), ('model',),
                     axis_types=(jax.sharding.AxisType.Auto,))
rows = NamedSharding(mesh, PartitionSpec('model', None))
everywhere = NamedSharding(mesh, PartitionSpec())
shardings = trees.map_named(
  lambda name, _: rows if name.endswith('class_weights') else everywhere,
  jax.eval_shape(lambda: make_state(5)))
state = jax.jit(lambda: make_state(5), out_shardings=shardings)()
assert not state.params['head']['class_weights'].is_fully_addressable
with CheckpointStore(folder + '/run') as store:
  store.save(5, state, data_position={'step': 5},
             packed=(state.params, RULES))
  store.wait_until_finished()
  restored, position, step = store.restore_latest(abstract(state))
  assert step == 5
  assert restored.params['head']['class_weights'].sharding == (
    state.params['head']['class_weights'].sharding)

def restore(self, path, *args, read=ocp.StandardCheckpointHandler.restore,
            **kwargs):
  if index == 1 and path.parent.name == '7':
    raise ValueError('what process 1 alone reads is damaged')
  return read(self, path, *args, **kwargs)

ocp.StandardCheckpointHandler.restore = restore
with CheckpointStore(folder + '/damaged') as store:
  for step in (6, 7):
    store.save(step, state, data_position={'step': step})
  store.wait_until_finished()
  assert store.restore_latest(abstract(state))[1:] == ({'step': 6}, 6)
  store.save(7, state, data_position={'step': 7})
write_model_directory(
  folder + '/model', description=dict.fromkeys(FIELDS),
  variables={'params': state.params}, rules=RULES,
  classifier=state.params['head']['class_weights'])
"""


class TwoProcessesTest(chex.TestCase):
  def test_two_processes_save_what_one_opens_and_agree_on_damage(self):
    folder = self.create_tempdir().full_path
    with socket.socket() as free:
      free.bind(('127.0.0.1', 0))
      port = free.getsockname()[1]
    processes = [
      subprocess.Popen(
        [sys.executable, '-c', _PROCESS, str(i), str(port), folder],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for i in range(2)
    ]
    for process in processes:
      # A failed process leaves the other waiting at a barrier.
      self.addCleanup(process.kill)
    for process in processes:
      _, stderr = process.communicate(timeout=60)
      self.assertEqual(process.returncode, 0, stderr)
    expected = make_state(5)
    tree = packed.pack_tree_jit(expected.params, RULES)
    with CheckpointStore(folder + '/run') as store:
      state, _, _ = store.restore_latest(abstract(expected))
      chex.assert_trees_all_equal(state, expected)
      chex.assert_trees_all_equal(store.restore_packed(5), tree)
    with CheckpointStore(folder + '/damaged') as store:
      self.assertEqual(store.steps(), [6, 7])
    self.assertTrue(os.path.isdir(folder + '/damaged/7.unusable'))
    model = read_model_directory(folder + '/model')
    chex.assert_trees_all_equal(model.variables['params'], tree)
    np.testing.assert_array_equal(
      model.classifier, expected.params['head']['class_weights']
    )
