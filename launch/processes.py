"""Several processes for one command: joined to others, or started here.

`joined` makes this process one of a job, as the flags say. `start_children`
is --local_processes: the command starts itself several times on this host.
"""

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence

from facejax.errors import UsageError
from launch import flags as shared_flags

_PROCESS_FLAGS = (*shared_flags.ProcessFlags._fields, 'cpu_devices')


@contextlib.contextmanager
def joined(settings: shared_flags.ProcessFlags) -> Iterator[int]:
  """The time in which this process is one of the job that the flags name.

  Args:
    settings: the flags of `launch.flags.processes`.

  Yields:
    The number of processes; 1, with nothing started, where no flag asks for
    more.

  Raises:
    UsageError: flags that do not go together, or see `multihost.joined`.
  """
  given = {
    'coordinator': settings.coordinator.value,
    'num_processes': settings.num_processes.value,
    'process_id': settings.process_id.value,
  }
  explicit = [f'--{name}' for name, value in given.items() if value is not None]
  tuned = {
    'local_device_ids': _device_ids(settings.local_device_ids.value),
    'heartbeat_seconds': settings.heartbeat_seconds.value,
    'connect_seconds': settings.connect_seconds.value,
  }
  tuned = {name: value for name, value in tuned.items() if value is not None}
  if settings.distributed.value and explicit:
    raise UsageError(
      f'--distributed finds out what {" and ".join(explicit)} would say: give '
      'one or the other'
    )
  if not settings.distributed.value and not explicit:
    if tuned:
      raise UsageError(
        f'--{next(iter(tuned))} is for several processes: give --distributed, '
        'or --coordinator, --num_processes and --process_id'
      )
    yield 1
    return
  from facejax.parallel import multihost

  with multihost.joined(**given, **tuned) as job:
    yield job.num_processes


def _device_ids(values: Sequence[str]) -> tuple[int, ...] | None:
  """Numbers of devices; None if there are none."""
  if not all(value.strip().isdecimal() for value in values):
    raise UsageError(
      f'--local_device_ids={",".join(values)}: give numbers of GPUs with a '
      'comma between them, such as 0,1'
    )
  return tuple(int(value) for value in values) or None


def start_children(
  settings: shared_flags.ProcessFlags, *, cpu_devices: int = 0
) -> None:
  """Runs this very command as --local_processes processes; returns when done.

  Child i takes GPU i, on a CPU one device unless `cpu_devices` says more. What
  child 0 prints is what the command prints; lines of the others go to stderr,
  after their number.

  Raises:
    UsageError: flags that do not go together.
    PeerError: a child was killed; the same command goes on.
    SystemExit: the code of a child that failed.
    KeyboardInterrupt: Ctrl-C.
  """
  for name in ('coordinator', 'num_processes', 'process_id', 'distributed'):
    value = getattr(settings, name).value
    if value is not None and value is not False:
      raise UsageError(
        f'--local_processes starts all processes on this host: leave out '
        f'--{name}'
      )
  if settings.local_device_ids.value:
    raise UsageError(
      '--local_processes gives every process one GPU: leave out '
      '--local_device_ids, and choose GPUs by CUDA_VISIBLE_DEVICES'
    )
  from facejax.parallel import children

  children.run_children(
    child_commands(
      [sys.executable, *sys.orig_argv[1:]],
      settings.local_processes.value,
      port=_free_port(),
      cpu_devices=cpu_devices or 1,
    )
  )


def child_commands(
  command: Sequence[str], count: int, *, port: int, cpu_devices: int
) -> list[list[str]]:
  """The command of every child: flags at the end override those before."""
  return [
    [
      *command,
      '--local_processes=1',
      f'--coordinator=127.0.0.1:{port}',
      f'--num_processes={count}',
      f'--process_id={process_id}',
      f'--local_device_ids={process_id}',
      f'--cpu_devices={cpu_devices}',
    ]
    for process_id in range(count)
  ]


def without_process_flags(arguments: Sequence[str]) -> list[str]:
  """The arguments of a command that does the same in one process."""
  kept, skip = [], False
  for argument in arguments:
    name, equals, _ = argument.lstrip('-').partition('=')
    if skip:
      skip = False
    elif argument.startswith('-') and name in _PROCESS_FLAGS:
      skip = not equals and name != 'distributed'
    else:
      kept.append(argument)
  return kept


def _free_port() -> int:
  """A port of loopback that nothing listens on."""
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    return server.getsockname()[1]
