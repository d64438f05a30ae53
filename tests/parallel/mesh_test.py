"""Meshes fill the devices; a CPU counts as several where asked."""

import os
import subprocess
import sys

import chex
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.parallel import mesh as mesh_lib


def devices_after(call, **environment):
  """Devices that a fresh process counts after a call, or its error."""
  code = (
    'from facejax.parallel.mesh import split_cpu\n'
    f'{call}\n'
    'import jax; print(jax.device_count())'
  )
  environment = {'XLA_FLAGS': '', **environment}
  result = subprocess.run(
    [sys.executable, '-c', code], env=os.environ | environment,
    capture_output=True, text=True, check=False,
  )  # fmt: skip
  return result.stdout.strip() or result.stderr.strip().splitlines()[-1]


class SplitCpuTest(chex.TestCase):
  def test_a_number_is_taken_as_it_is(self):
    self.assertEqual(devices_after('split_cpu(6, 3)'), '3')

  def test_as_many_devices_as_cores_that_divide_the_batch(self):
    self.assertEqual(devices_after('split_cpu(1)'), '1')
    cores = len(os.sched_getaffinity(0))
    self.assertEqual(devices_after(f'split_cpu({cores * 16})'), str(cores))

  def test_the_flag_of_xla_goes_first(self):
    flag = '--xla_force_host_platform_device_count=5'
    self.assertEqual(devices_after('split_cpu(8)', XLA_FLAGS=flag), '5')

  def test_it_is_too_late_once_jax_has_started(self):
    call = 'import jax; jax.devices(); split_cpu(8, 4)'
    self.assertIn('UsageError: cpu_devices=4', devices_after(call))

  def test_a_negative_number_is_refused(self):
    with self.assertRaisesRegex(UsageError, 'give 0 or more'):
      mesh_lib.split_cpu(8, -1)


class MeshTest(chex.TestCase):
  def test_a_mesh_fills_the_devices(self):
    self.assertEqual(mesh_lib.make_mesh().shape, {'data': 8, 'model': 1})
    self.assertEqual(mesh_lib.make_mesh(-1, 4).shape, {'data': 2, 'model': 4})

  @parameterized.parameters((3, 2), (0, 1), (-1, 0), (16, 1))
  def test_a_mesh_that_does_not_fit_is_refused(self, data, model):
    with self.assertRaisesRegex(UsageError, 'does not fill the 8 devices'):
      mesh_lib.make_mesh(data, model)

  def test_a_batch_that_does_not_divide_names_sizes_that_do(self):
    with self.assertRaisesRegex(UsageError, 'use 8 or 16'):
      mesh_lib.check_batch(12, mesh_lib.make_mesh())
    with self.assertRaisesRegex(UsageError, 'use 8$'):
      mesh_lib.check_batch(0, mesh_lib.make_mesh())
