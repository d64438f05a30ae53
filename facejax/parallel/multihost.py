"""Jobs of several processes: how they start, stop together and end.

`joined` is the time within a job; `StopSignal` lets all of it stop after the
same step; `peer_failure` and `leave` end what cannot go on, in every process.

What the others do when a process is lost, measured by killing processes of
CPU jobs over gloo (the runtime's part is the same on GPUs and TPUs):

  * Killed while the others are in a collective operation with it: gloo sees
    the connection close, `peer_failure` makes its error a `PeerError`, and by
    `leave` all end within 3 s with exit code 75. A host that is gone
    without closing connections ends the job as in the next case.
  * Killed while the others are elsewhere (reading, evaluating, in a barrier
    of a save): the runtime misses the heartbeat and ends them by SIGABRT,
    which a shell calls 134, within `heartbeat_seconds` + 5 s.
  * Process 0 killed: it holds the coordinator of the job; its closed
    connection ends the others by SIGABRT (134) at once. If its host is gone
    without closing connections, after the heartbeat.
  * A process that fails with an error of its own tells the others by `leave`;
    they end within 3 s with its exit code, wherever they are.
"""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
from jax._src import distributed

from facejax.errors import Interrupted, PeerError, UsageError
from facejax.parallel import rendezvous
from facejax.parallel.membership import LINGER_SECONDS, Member, end_process

# Less than this a busy machine takes for a death.
LEAST_HEARTBEAT_SECONDS = 2
_LOST_PEER = re.compile(
  r'gloo|nccl|heartbeat|coordination service|barrier|socket closed'
  r'|connection (closed|reset|refused)',
  re.IGNORECASE,
)


_member: Member | None = None


@contextlib.contextmanager
def joined(
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  local_device_ids: tuple[int, ...] | None = None,
  heartbeat_seconds: int = 100,
  connect_seconds: int = 300,
) -> Iterator[rendezvous.Job]:
  """The time in which this process is one of a job; call it before JAX starts.

  Where nothing is given, JAX detects the job (`rendezvous.find_job`). CPUs talk
  by gloo. At the end it waits until all processes have come there; SIGTERM is
  kept for `StopSignal` from the beginning on.

  Args:
    coordinator: HOST:PORT of process 0, the same in all.
    num_processes: processes of the job.
    process_id: number of this one.
    local_device_ids: GPUs of this host to take; None for all of them, or what
      the cluster says.
    heartbeat_seconds: silence after which a process counts as lost, at least
      `LEAST_HEARTBEAT_SECONDS`; the same in all.
    connect_seconds: how long the processes may take to find each other.

  Yields:
    The job. No device is in use yet, so CPUs can still be split.

  Raises:
    UsageError: values that do not fit together, no cluster, a port that is
      taken, a coordinator that does not answer.
    PeerError: others did not come in time, or are lost.
  """
  global _member
  if heartbeat_seconds < LEAST_HEARTBEAT_SECONDS:
    raise UsageError(
      f'heartbeat_seconds={heartbeat_seconds}: give '
      f'{LEAST_HEARTBEAT_SECONDS} or more'
    )
  job = rendezvous.find_job(
    coordinator=coordinator,
    num_processes=num_processes,
    process_id=process_id,
    local_device_ids=local_device_ids,
    connect_seconds=connect_seconds,
  )
  if job.process_id == 0:
    rendezvous.check_port_is_free(job)
  else:
    rendezvous.wait_for_coordinator(job, connect_seconds)
  jax.config.update('jax_cpu_collectives_implementation', 'gloo')
  jax.config.update('jax_enable_preemption_service', False)
  rendezvous.connect(job, heartbeat_seconds, connect_seconds)
  _member = Member(job)
  with peer_failure():
    try:
      yield job
    except Interrupted:
      _member.finish()
      raise
    _member.finish()


def open_devices() -> None:
  """Starts the devices, which every process of a job must do.

  Raises:
    UsageError: they cannot be used.
  """
  try:
    jax.devices()
  except jax.errors.JaxRuntimeError:
    raise  # of a lost peer, or a defect
  except RuntimeError as error:
    raise UsageError(f'the devices cannot be used: {error}') from error


class StopSignal:
  """Hears of SIGTERM, by which schedulers announce that a machine is taken.

    with StopSignal() as stop:
      for step in ...:
        ...
        if stop.reached(step):
          save; raise Interrupted(...)

  In a job every process must ask after every step: one that is signalled, or
  several, stop all of them after the same step. The signal only leaves a note,
  so more of them do no harm. Slurm sends it early by `--signal=TERM@SECONDS`;
  other signals keep their meaning. Outside of a job it is heard in the main
  thread only, and what SIGTERM did before comes back at the end.
  """

  def __init__(self):
    self._noted, self._listens, self._before = False, False, None
    self._offset: int | None = None

  def __enter__(self) -> 'StopSignal':
    is_main = threading.current_thread() is threading.main_thread()
    if _member is None and is_main:
      self._listens = True
      self._before = signal.signal(signal.SIGTERM, self._note)
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._listens:
      signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

  def _note(self, signum: int, frame: Any) -> None:
    self._noted = True

  def reached(self, steps_done: int) -> bool:
    """Whether to save and stop now.

    Args:
      steps_done: steps finished, one more than at the last call.

    Returns:
      True at the same step in all processes: the first after the signal in a
      single one, within some steps and about two seconds of it in a job.
    """
    if _member is None:
      return self._noted
    if self._offset is None:
      # Counted from 1 in this process: before the first call the count is 0
      # everywhere, and the step after the highest count is agreed on.
      self._offset = _member.steps_counted + 1 - steps_done
    return _member.agree_to_stop(steps_done + self._offset)


@contextlib.contextmanager
def peer_failure() -> Iterator[None]:
  """Turns the errors of a runtime that lost a process into a `PeerError`.

  Raises:
    PeerError: with the reason and the exit code that the lost process gave, or
      75 if it gave none.
  """
  try:
    yield
  except (jax.errors.JaxRuntimeError, ValueError) as error:
    # gloo's come as ValueError.
    if _member is None or not _LOST_PEER.search(str(error)):
      raise
    raise _member.failure() or PeerError(
      'another process of this job is lost: run the same command again to go '
      f'on from the last checkpoint ({str(error).splitlines()[0]})'
    ) from error


def in_job() -> bool:
  """Whether this process is one of a job, or was about to join one."""
  return _member is not None or distributed.global_state.client is not None


def leave(code: int, message: str) -> NoReturn:
  """Ends a process of a job at once, and tells the others why.

  At an ordinary exit JAX would wait for all other processes, which may be
  waiting for this one.

  Args:
    code: exit code, of the others too.
    message: one line.
  """
  if _member is not None:
    _member.announce(code, message)
    if _member.job.process_id == 0 and _member.job.num_processes > 1:
      time.sleep(LINGER_SECONDS)
  end_process(code)
