"""How the processes of a job find each other, checked before JAX starts.

JAX's runtime ends a process by a signal, without a word to its user, where a
port is taken (SIGSEGV) or a coordinator cannot be reached (SIGABRT). So both
are tried with plain sockets first.
"""

import concurrent.futures
import dataclasses
import os
import re
import socket
import threading
import time
import warnings

import jax
from jax._src import clusters

from facejax.errors import PeerError, UsageError

_LOOPBACK = ('localhost', '127.0.0.1', '[::1]')
_RETRY_SECONDS = 0.2
_TRY_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Job:
  """The processes that train together, as one of them sees it.

  Invariant: 0 <= process_id < num_processes.

  Attributes:
    coordinator: HOST:PORT of process 0, the same in every process.
    num_processes: how many there are.
    process_id: which one this is.
    local_device_ids: GPUs of this host that this process takes; None for all.
  """

  coordinator: str
  num_processes: int
  process_id: int
  local_device_ids: tuple[int, ...] | None = None

  def __post_init__(self):
    if not re.fullmatch(
      r'(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}', self.coordinator
    ):
      raise UsageError(
        f'coordinator={self.coordinator!r}: give the host and a free port of '
        'process 0 as HOST:PORT, such as 10.0.0.1:8476'
      )
    if not 0 < self.address[1] < 1 << 16:
      raise UsageError(
        f'coordinator={self.coordinator!r}: a port is a number from 1 to 65535'
      )
    if not 0 <= self.process_id < self.num_processes:
      raise UsageError(
        f'process_id={self.process_id} of num_processes={self.num_processes}: '
        'processes are numbered from 0 to num_processes - 1'
      )
    if self.local_device_ids is not None and min(self.local_device_ids) < 0:
      raise UsageError(
        f'local_device_ids={list(self.local_device_ids)}: GPUs of a host are '
        'numbered from 0'
      )

  @property
  def address(self) -> tuple[str, int]:
    """Host, without the brackets of IPv6, and port."""
    host, port = self.coordinator.rsplit(':', 1)
    return host.strip('[]'), int(port)

  @property
  def bind_address(self) -> str:
    """Where process 0 listens: on loopback only where all others are there."""
    host, port = self.coordinator.rsplit(':', 1)
    if host in _LOOPBACK:
      return self.coordinator
    return f'[::]:{port}' if socket.has_dualstack_ipv6() else f'0.0.0.0:{port}'


def find_job(
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  local_device_ids: tuple[int, ...] | None = None,
  connect_seconds: int = 300,
) -> Job:
  """The job as given, or, where nothing is, as JAX detects it.

  Detected are Slurm (in a step, so by `srun`), Open MPI, Cloud TPU VMs, TPUs on
  GKE and, with the package `kubernetes`, indexed Kubernetes jobs. Under Slurm
  and Open MPI each process takes the one GPU with its local rank.

  Args:
    coordinator: HOST:PORT of process 0.
    num_processes: processes of the job.
    process_id: number of this one.
    local_device_ids: GPUs to take; None for all, or what the cluster says.
    connect_seconds: how long the name of the coordinator may take to appear.

  Raises:
    UsageError: some are given and others are not, or nothing is detected.
  """
  given = {
    'coordinator': coordinator,
    'num_processes': num_processes,
    'process_id': process_id,
  }
  missing = [name for name, value in given.items() if value is None]
  if not missing:
    return Job(coordinator, num_processes, process_id, local_device_ids)
  if len(missing) < len(given):
    raise UsageError(
      f'{" and ".join(missing)} must be given too: coordinator, num_processes '
      'and process_id belong together'
    )
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # what it warns of is said below
      detected = clusters.ClusterEnv.auto_detect_unset_distributed_params(
        None, None, None, local_device_ids, None, connect_seconds
      )
  except (RuntimeError, ValueError, KeyError, OSError) as error:
    raise UsageError(f'the cluster cannot be read: {error}') from error
  if None in detected[:3]:
    hint = ''
    if 'KUBERNETES_SERVICE_HOST' in os.environ:
      hint = " (on Kubernetes without TPUs: pip install 'jax[k8s]')"
    raise UsageError(
      'no cluster was found, neither Slurm (start it by srun) nor Open MPI, '
      f'Kubernetes or Cloud TPU{hint}: give coordinator, num_processes and '
      'process_id'
    )
  local = detected[3]
  return Job(*detected[:3], None if local is None else tuple(local))


def check_port_is_free(job: Job) -> None:
  """Refuses a port of process 0 that another program listens on.

  Raises:
    UsageError: it is taken, or not ours to take.
  """
  host, port = job.bind_address.rsplit(':', 1)
  host = host.strip('[]')
  family = socket.AF_INET6 if ':' in host else socket.AF_INET
  dual = host == '::' and socket.has_dualstack_ipv6()
  try:
    socket.create_server(
      (host, int(port)), family=family, dualstack_ipv6=dual
    ).close()
  except OSError as error:
    raise UsageError(
      f'coordinator={job.coordinator}: port {port} of this host cannot be used '
      f'({error.strerror}): choose another, the same for all processes'
    ) from None


def wait_for_coordinator(job: Job, seconds: float | int) -> None:
  """Returns when process 0 listens.

  Raises:
    UsageError: it does not within `seconds`.
  """
  deadline = time.monotonic() + seconds
  while True:
    try:
      socket.create_connection(job.address, timeout=_TRY_SECONDS).close()
      return
    except OSError as error:  # a host that is starting has no name yet
      if time.monotonic() > deadline:
        raise UsageError(
          f'coordinator={job.coordinator}: process {job.process_id} could not '
          f'reach it within {seconds} s ({error.strerror or error}): does '
          'process 0 run, on that host, and is the port open?'
        ) from None
    time.sleep(_RETRY_SECONDS)


def connect(job: Job, heartbeat_seconds: int, connect_seconds: int) -> None:
  """Joins the job.

  In a thread: where the others do not come, JAX would end this process by
  SIGABRT, and meanwhile not hear of Ctrl-C.
  """
  outcome: concurrent.futures.Future = concurrent.futures.Future()

  def initialize():
    try:
      jax.distributed.initialize(
        job.coordinator,
        job.num_processes,
        job.process_id,
        local_device_ids=job.local_device_ids,
        cluster_detection_method='deactivate',
        coordinator_bind_address=os.environ.get(
          'JAX_COORDINATOR_BIND_ADDRESS', job.bind_address
        ),
        heartbeat_timeout_seconds=heartbeat_seconds,
        initialization_timeout=connect_seconds + 60,
      )
      outcome.set_result(None)
    except Exception as error:  # raised again where it is waited for
      outcome.set_exception(error)

  threading.Thread(target=initialize, daemon=True).start()
  try:
    outcome.result(timeout=connect_seconds)
  except concurrent.futures.TimeoutError:
    raise PeerError(
      f'coordinator={job.coordinator}: not all of the {job.num_processes} '
      f'processes came within {connect_seconds} s: look at what the others say'
    ) from None
