"""What a dry run counts is what a run holds, and it refuses with advice."""

import json
import os
import re
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.errors import UsageError
from facejax.parallel import mesh as mesh_lib
from facejax.training import dry_run
from facejax.training.state import abstract_state, create_state, split_head
from facejax.training.step import compile_step, make_train_step
from tests.conftest import REPOSITORY
from tests.training.dry_run_case import (
  BATCH,
  IDENTITIES,
  make_config,
  result_of,
  tiny_learner,
)

GIB = 2**30


@pytest.fixture(scope='module')
def estimated():
  """Of a step on a 4 x 2 mesh: (config, result)."""
  config = make_config(mesh__data=4, mesh__model=2, head__sample_rate=0.5)
  return config, dry_run.estimate(config, num_identities=IDENTITIES)


class EstimateTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _estimated(self, estimated):
    self.config, self.result = estimated

  def test_every_device_holds_the_bytes_that_are_called_exact(self):
    mesh = mesh_lib.make_mesh(4, 2)
    learner = tiny_learner(self.config, mesh)
    state, shardings = create_state(learner, jax.random.key(0))
    sharding = mesh_lib.batch_sharding(mesh)
    batch = {
      'image': jax.device_put(np.zeros((BATCH, 32, 32, 3), np.uint8), sharding),
      'label': jax.device_put(np.zeros(BATCH, np.int32), sharding),
    }
    run_step = compile_step(make_train_step(learner), mesh, shardings)
    state, _ = run_step(state, batch)
    parts = self.result['bytes_per_device']
    exact = sum(parts[name] for name in self.result['exact'])
    for device in jax.devices():
      held = sum(
        shard.data.nbytes
        for leaf in jax.tree.leaves((state, batch))
        for shard in leaf.addressable_shards
        if shard.device == device
      )
      self.assertEqual(held, exact)
    # The number of a step counts as a parameter, that of the schedule not.
    net = {name: x for name, x in state.params.items() if name != 'head'}
    statistics = trees.byte_count(state.batch_stats)
    self.assertEqual(
      parts['parameters'], trees.byte_count(net) + statistics + 4
    )

  def test_parts_by_hand(self):
    parts = self.result['bytes_per_device']
    rows = 126  # 1001 over 8, rounded up
    self.assertEqual(parts['head'], rows * 16 * 4)
    self.assertEqual(parts['head_optimizer'], rows * 16 * 4)
    self.assertEqual(parts['batch'], 2 * (32 * 32 * 3 + 4))
    self.assertEqual(parts['ema'], 0)
    total = sum(size for name, size in parts.items() if name != 'total')
    self.assertEqual(parts['total'], total)
    self.assertEqual(
      {*self.result['exact'], *self.result['estimated'], 'total'}, {*parts}
    )
    # Sampled: 63 rows, their momentum and their gradient at least.
    self.assertGreater(parts['head_workspace'], 3 * 63 * 16 * 4)

  def test_the_result_is_json_and_says_what_it_is_of(self):
    self.assertEqual(json.loads(json.dumps(self.result)), self.result)
    self.assertEqual(self.result['mesh'], {'data': 4, 'model': 2})
    self.assertEqual(self.result['devices'], 8)
    self.assertEqual(self.result['num_identities'], IDENTITIES)
    self.assertEqual(self.result['batch_size'], BATCH)
    self.assertEqual(self.result['device_memory_bytes'], 80 * GIB)
    self.assertEqual(self.result['usable_bytes'], round(0.92 * 80 * GIB))
    self.assertTrue(self.result['fits'])

  def test_bytes_that_cross_the_mesh_by_hand(self):
    learner = tiny_learner(self.config, mesh_lib.make_mesh(4, 2))
    net, _ = split_head(abstract_state(learner)[0].params)
    self.assertEqual(
      self.result['bytes_exchanged_per_step'],
      {
        'head': 4 * BATCH * (2 * 16 + 7),
        'gradients': trees.byte_count(net),
      },
    )


_RUN = """
import json, sys
from facejax.errors import UsageError
from facejax.training import dry_run
from tests.training import dry_run_case
config = dry_run_case.make_config(data__batch_size=64)
try:
  dry_run.run(config, num_devices=64, num_identities=10**7, device_memory=0.02)
except UsageError as error:
  print(error)
"""


class RunTest(chex.TestCase):
  def test_64_devices_that_are_too_small_are_refused_with_what_fits(self):
    environment = os.environ | {'XLA_FLAGS': ''}
    child = subprocess.run(
      [sys.executable, '-c', _RUN],
      cwd=REPOSITORY,
      env=environment,
      capture_output=True,
      text=True,
      check=True,
      timeout=300,
    )
    line = child.stdout.splitlines()[-1]
    # 156,250 rows of 16 numbers and their momentum: 19.1 MiB of 18.8.
    self.assertRegex(line, r'a step needs .* on each of 64 devices')
    self.assertIn('alone need 66', line)
    self.assertIn('head', child.stderr)

  def test_devices_that_jax_does_not_have_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'has started with 8 CPU devices'):
      dry_run.describe_devices(9)
    self.assertLen(dry_run.describe_devices(4), 4)

  @parameterized.parameters(
    ({'num_devices': 0}, 'devices=0'),
    ({'num_identities': 0}, 'identities=0'),
    ({'device_memory': 0}, 'device_memory=0'),
    ({'num_identities': None}, '--config.data.path'),
    ({'num_devices': 3}, 'does not divide over 3 devices'),
  )
  def test_what_cannot_be_is_refused(self, wanted, words):
    wanted = {'num_devices': 4, 'num_identities': 10} | wanted
    with self.assertRaisesRegex(UsageError, re.escape(words)):
      dry_run.run(make_config(), **wanted)

  def test_identities_are_read_from_the_set(self):
    with pytest.MonkeyPatch.context() as patch:
      seen = {}

      def estimate(config, **wanted):
        del config
        seen.update(wanted)
        return result_of({}, 1)

      patch.setattr(dry_run, 'estimate', estimate)
      config = make_config(data__path=str(self.face_set))
      dry_run.run(config, num_devices=8)
    self.assertEqual(seen['num_identities'], 11)

  @pytest.fixture(autouse=True)
  def _face_set(self, face_set):
    self.face_set = face_set
