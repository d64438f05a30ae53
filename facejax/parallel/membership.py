"""A process in its job: what it hears from the others, and tells them.

Over the key-value store of the coordinator that process 0 holds: the failure of
a process, and the agreement on a last step.
"""

import atexit
import contextlib
import json
import os
import sys
import threading
from typing import NoReturn

import jax
from jax._src import distributed
from jax._src.lib import _jax

from facejax.errors import PeerError
from facejax.parallel import rendezvous

_FAILURE_KEY = 'facejax/failure'
_POLL_SECONDS = 0.5
# Process 0 holds the coordinator: the others must have read before it goes.
LINGER_SECONDS = 3 * _POLL_SECONDS
# What process 0 does alone at the end, writing a model, may take this long.
_FINISH_SECONDS = 3600


def end_process(code: int) -> NoReturn:
  """Leaves without the clean-up of an exit, in which JAX waits for others."""
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


class Member:
  """This process in its job: what it hears from the others, and tells them."""

  def __init__(self, job: rendezvous.Job):
    self.job, self.steps_counted = job, 0
    self._client = distributed.global_state.client
    # Not the one that `jax.distributed` starts: Orbax reports the numbers of
    # its saves to that, also late, from threads, and a number that is not the
    # loop's can put the agreed step where no process comes by any more.
    self._notices = _jax.create_preemption_sync_manager()
    self._notices.initialize(self._client)
    self._ended = threading.Event()
    self._watch = threading.Thread(target=self._watch_peers, daemon=True)
    self._watch.start()
    atexit.register(self.close)

  def agree_to_stop(self, count: int) -> bool:
    """Whether all processes agreed to stop after their `count`-th step."""
    self.steps_counted = count
    return self._notices.reached_sync_point(count)

  def announce(self, code: int, message: str) -> None:
    """Tells all why this process ends; who speaks first is heard."""
    self._ended.set()  # what others say is not news any more
    value = {'process': self.job.process_id, 'code': code, 'message': message}
    # Refused where another was first, and where process 0 is gone.
    with contextlib.suppress(jax.errors.JaxRuntimeError):
      self._client.key_value_set(_FAILURE_KEY, json.dumps(value))

  def failure(self) -> PeerError | None:
    """Why another process ended, if it said so."""
    try:
      value = json.loads(self._client.key_value_try_get(_FAILURE_KEY))
    except jax.errors.JaxRuntimeError:  # nobody spoke
      return None
    if value['process'] == self.job.process_id:
      return None
    return PeerError(
      f'process {value["process"]} ended: {value["message"]}',
      exit_code=value['code'],
    )

  def finish(self) -> None:
    """Waits for all processes to come to their end."""
    # JAX's own barrier at the exit would give up after five minutes, and not
    # hear of a process that fails meanwhile.
    self._client.wait_at_barrier('facejax/finish', _FINISH_SECONDS * 1000)
    self.close()

  def close(self) -> None:
    """Ends what uses the connection, before JAX closes it."""
    if not self._ended.is_set():
      self._ended.set()
      self._watch.join()
      self._notices.shutdown()

  def _watch_peers(self) -> None:
    while not self._ended.wait(_POLL_SECONDS):
      error = self.failure()
      if error is not None:
        print(f'error: {error}', file=sys.stderr)
        end_process(error.exit_code)
