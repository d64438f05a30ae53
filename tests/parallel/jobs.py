"""Starts true processes on loopback and sees how they end."""

import contextlib
import os
import socket
import subprocess
import sys
import time

from tests.conftest import REPOSITORY

# Of a run that goes on: its first step is not the first.
FIRST_STEP = 1000


def free_port():
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    return server.getsockname()[1]


def start(command, **environment):
  """A process of a job: one CPU device, its output in pipes."""
  return subprocess.Popen(
    command,
    cwd=REPOSITORY,
    env=os.environ
    | {'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': '', 'TF_CPP_MIN_LOG_LEVEL': '3'}
    | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def member_command(*arguments):
  return [sys.executable, '-m', 'tests.parallel.member', *map(str, arguments)]


class Job:
  """Processes of `tests.parallel.member` that know each other by flags."""

  def __init__(self, count, *arguments, environments=None, heartbeat=30):
    port = free_port()
    self.processes = []
    for i in range(count):
      flags = [
        f'--coordinator=127.0.0.1:{port}',
        f'--num_processes={count}',
        f'--process_id={i}',
      ]
      if environments:
        flags = ['--distributed']
      flags.append(f'--heartbeat_seconds={heartbeat}')
      environment = environments[i] if environments else {}
      self.processes.append(
        start(member_command(*arguments, *flags), **environment)
      )

  def wait_until_ready(self):
    for line in self.processes[0].stdout:
      if line == 'ready\n':
        return
    raise AssertionError(self.ends(5))

  def ends(self, seconds):
    """(exit code, stdout, stderr) of each, all within `seconds`."""
    deadline = time.monotonic() + seconds
    ends = []
    for process in self.processes:
      left = max(deadline - time.monotonic(), 0.01)
      stdout, stderr = process.communicate(timeout=left)
      # What gloo prints about itself is not ours.
      lines = [x for x in stdout.splitlines() if not x.startswith('[Gloo]')]
      ends.append((process.returncode, '\n'.join(lines), stderr))
    return ends

  def kill(self):
    for process in self.processes:
      process.kill()
    for process in self.processes:
      process.communicate(timeout=10)


@contextlib.contextmanager
def job(count, *arguments, **options):
  """A job in which all processes have computed together; killed at the end."""
  started = Job(count, *arguments, **options)
  try:
    started.wait_until_ready()
    yield started
  finally:
    started.kill()
