"""What names a job, and what JAX detects where nothing does."""

import os
import socket
from unittest import mock

import chex
from absl.testing import parameterized
from jax._src.clusters import cloud_tpu_cluster, cluster

from facejax.errors import UsageError
from facejax.parallel import rendezvous
from facejax.parallel.rendezvous import Job
from tests.parallel import jobs

CLUSTERS = ('SLURM_', 'OMPI_', 'TPU_', 'MEGASCALE_', 'KUBERNETES_', 'JAX_COORD')
SLURM = {
  'SLURM_JOB_ID': '4100',
  'SLURM_STEP_NODELIST': 'node[007-009,012],login1',
  'SLURM_NTASKS': '16',
  'SLURM_PROCID': '11',
  'SLURM_LOCALID': '3',
}
OPEN_MPI = {
  'OMPI_MCA_orte_hnp_uri': '8192.0;tcp://10.96.0.1,10.148.0.1:34911',
  'OMPI_COMM_WORLD_SIZE': '4',
  'OMPI_COMM_WORLD_RANK': '2',
  'OMPI_COMM_WORLD_LOCAL_RANK': '0',
}
GKE = {
  'TPU_WORKER_HOSTNAMES': 'localhost,host-1,host-2',
  'TPU_WORKER_ID': '2',
  # GKE sets it; without, JAX asks the metadata server of the VM first.
  'TPU_SKIP_MDS_QUERY': 'true',
  'MEGASCALE_COORDINATOR_ADDRESS': 'localhost',
  'MEGASCALE_NUM_SLICES': '2',
  'MEGASCALE_SLICE_ID': '1',
}


def environment(values):
  """The environment of a cluster, and of no other."""
  kept = {k: v for k, v in os.environ.items() if not k.startswith(CLUSTERS)}
  return mock.patch.dict(os.environ, kept | values, clear=True)


class FindJobTest(chex.TestCase):
  def test_what_is_given_is_taken_as_it_is(self):
    job = rendezvous.find_job(
      coordinator='a.b:80',
      num_processes=3,
      process_id=0,
      local_device_ids=(0, 1),
    )
    self.assertEqual(job, Job('a.b:80', 3, 0, (0, 1)))
    self.assertEqual(job.address, ('a.b', 80))

  def test_slurm_says_first_node_port_by_job_rank_and_local_rank(self):
    with environment(SLURM):
      job = rendezvous.find_job()
    # 4100 modulo 4096, above the first of the last 4096 ports.
    self.assertEqual(job, Job(f'node007:{65535 - 4095 + 4}', 16, 11, (3,)))

  def test_local_devices_that_are_given_go_before_those_of_slurm(self):
    with environment(SLURM):
      job = rendezvous.find_job(local_device_ids=(0, 1))
    self.assertEqual(job.local_device_ids, (0, 1))

  def test_outside_of_srun_slurm_is_no_cluster(self):
    batch_script = {k: v for k, v in SLURM.items() if 'STEP' not in k}
    with (
      environment(batch_script),
      self.assertRaisesRegex(UsageError, r'no cluster.*start it by srun'),
    ):
      rendezvous.find_job()

  def test_open_mpi_says_all(self):
    with environment(OPEN_MPI):
      job = rendezvous.find_job()
    self.assertEqual(job, Job('10.96.0.1:61442', 4, 2, (0,)))

  def test_gke_says_the_slice_and_the_worker_and_every_process_takes_all(self):
    tpu = mock.patch.object(cloud_tpu_cluster, 'running_in_cloud_tpu_vm', True)
    tpu_too = mock.patch.object(cluster, 'running_in_cloud_tpu_vm', True)
    with environment(GKE), tpu, tpu_too:
      job = rendezvous.find_job()
    self.assertEqual(job, Job('localhost:8482', 6, 5))

  @parameterized.parameters(
    ({}, 'no cluster was found'),
    ({'KUBERNETES_SERVICE_HOST': '10.0.0.1'}, r"pip install 'jax\[k8s\]'"),
    (SLURM | {'SLURM_JOB_ID': 'x'}, 'the cluster cannot be read'),
  )
  def test_no_cluster_is_said_in_words(self, values, message):
    with environment(values), self.assertRaisesRegex(UsageError, message):
      rendezvous.find_job()

  @parameterized.parameters(
    ({'coordinator': 'a:80'}, 'num_processes and process_id must be given'),
    ({'num_processes': 2, 'process_id': 0}, 'coordinator must be given too'),
  )
  def test_a_part_of_the_flags_is_refused(self, given, message):
    with self.assertRaisesRegex(UsageError, message):
      rendezvous.find_job(**given)

  @parameterized.parameters(
    (('host', 2, 0), 'HOST:PORT'),
    (('::1:80', 2, 0), 'HOST:PORT'),
    (('a:0', 2, 0), 'from 1 to 65535'),
    (('a:70000', 2, 0), 'from 1 to 65535'),
    (('a:80', 2, 2), 'process_id=2 of num_processes=2'),
    (('a:80', 2, -1), 'process_id=-1 of'),
    (('a:80', 2, 0, (0, -1)), r'local_device_ids=\[0, -1\]'),
  )
  def test_a_job_that_cannot_be_is_refused(self, values, message):
    with self.assertRaisesRegex(UsageError, message):
      Job(*values)

  def test_on_loopback_only_loopback_is_listened_on(self):
    self.assertEqual(Job('127.0.0.1:80', 2, 0).bind_address, '127.0.0.1:80')
    self.assertEqual(Job('[::1]:80', 2, 0).address, ('::1', 80))
    self.assertIn(Job('a:80', 2, 0).bind_address, ('[::]:80', '0.0.0.0:80'))


class PortTest(chex.TestCase):
  @parameterized.parameters('127.0.0.1', 'some.host')
  def test_a_port_that_is_taken_is_refused_and_a_free_one_is_not(self, host):
    port = jobs.free_port()
    job = Job(f'{host}:{port}', 2, 0)
    rendezvous.check_port_is_free(job)
    with (
      socket.create_server(('127.0.0.1', port)),
      self.assertRaisesRegex(UsageError, f'port {port} of this host cannot'),
    ):
      rendezvous.check_port_is_free(job)

  def test_a_coordinator_that_listens_is_found(self):
    with socket.create_server(('127.0.0.1', 0)) as server:
      port = server.getsockname()[1]
      rendezvous.wait_for_coordinator(Job(f'127.0.0.1:{port}', 2, 1), 5)

  @parameterized.parameters('127.0.0.1', 'no.such.host.invalid')
  def test_one_that_does_not_is_said_in_words(self, host):
    job = Job(f'{host}:{jobs.free_port()}', 2, 1)
    with self.assertRaisesRegex(UsageError, 'process 1 could not reach it'):
      rendezvous.wait_for_coordinator(job, 0.3)
