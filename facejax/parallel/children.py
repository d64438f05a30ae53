"""Children that end together: started, signalled and waited for as one."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from facejax.errors import PeerError

# For the other children to end, once one has failed or Ctrl-C was pressed.
GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.05
_TEMPORARY_FAILURE = PeerError.exit_code
_PR_SET_PDEATHSIG = 1


def run_children(
  commands: Sequence[Sequence[str]],
  *,
  grace_seconds: float | int = GRACE_SECONDS,
) -> None:
  """Runs commands side by side; none outlives this call, or this process.

  Once a child has failed the others may end by themselves for
  `grace_seconds`; then they are killed. SIGTERM is passed on, as often as it
  comes; so is Ctrl-C, and the grace begins. If this process is killed, Linux
  kills the children.

  Raises:
    PeerError: a child was ended by a signal, and none says a worse reason.
    SystemExit: with the exit code of the first child that has one other than
      75, else 75.
    KeyboardInterrupt: Ctrl-C.
  """
  children: list[subprocess.Popen] = []
  # Passed on by the loop that waits: a signal that comes while children are
  # being started is for those that follow too.
  signals: list[int] = []

  def note(signum: int, frame: Any) -> None:
    signals.append(signum)

  with _handling(note), contextlib.ExitStack() as stack:
    stack.callback(_kill, children)
    for process_id, command in enumerate(commands):
      children.append(_start_child(command, process_id))
    relays = [_relay(child, i) for i, child in enumerate(children) if i]
    first = _wait(children, signals, grace_seconds)
  for relay in relays:
    relay.join(timeout=grace_seconds)
  if signal.SIGINT in signals:
    raise KeyboardInterrupt
  _raise_failure([child.returncode for child in children], first)


def _raise_failure(codes: Sequence[int], first: int | None) -> None:
  """Exits by what the codes of the children, of which one failed, say."""
  told = [c for c in codes if c > 0 and c != _TEMPORARY_FAILURE]
  if told:
    raise SystemExit(told[0])
  if first is not None and codes[first] < 0:
    name = signal.Signals(-codes[first]).name
    raise PeerError(
      f'process {first} was ended by {name}: run the same command again to go '
      'on from the last checkpoint'
    )
  if first is not None:
    raise SystemExit(_TEMPORARY_FAILURE)


def _wait(
  children: Sequence[subprocess.Popen],
  signals: Sequence[int],
  grace_seconds: float | int,
) -> int | None:
  """Returns when all have ended; the first that failed, if one did.

  Args:
    children: that run.
    signals: that this process gets, a list that grows; each is passed on.
    grace_seconds: see `run_children`.
  """
  first, deadline, passed_on = None, None, 0
  while True:
    while passed_on < len(signals):
      for child in children:
        child.send_signal(signals[passed_on])
      passed_on += 1
    running = [child for child in children if child.poll() is None]
    failed = [i for i, child in enumerate(children) if child.returncode]
    if first is None and failed:
      first = failed[0]
    if not running:
      return first
    if deadline is None and (failed or signal.SIGINT in signals):
      deadline = time.monotonic() + grace_seconds
    if deadline is not None and time.monotonic() > deadline:
      _kill(running)
    time.sleep(_POLL_SECONDS)


def _start_child(command: Sequence[str], process_id: int) -> subprocess.Popen:
  """A child in a session of its own: Ctrl-C reaches it through us only."""
  environment = dict(os.environ)
  if process_id:
    environment['TQDM_DISABLE'] = '1'  # one progress bar is enough
  return subprocess.Popen(
    command,
    stdin=subprocess.DEVNULL,
    # On our stdout, what one of the others prints could follow the result.
    stdout=subprocess.PIPE if process_id else None,
    stderr=subprocess.STDOUT if process_id else None,
    env=environment,
    start_new_session=True,
    preexec_fn=_die_with_parent(),
  )


def _die_with_parent() -> Callable[[], None] | None:
  """What a child on Linux calls to be killed when this process ends."""
  if sys.platform != 'linux':
    return None
  prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

  def ask():
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
      os._exit(_TEMPORARY_FAILURE)

  return ask


def _relay(child: subprocess.Popen, process_id: int) -> threading.Thread:
  """Passes what a child prints on to stderr, each line with its number."""

  def copy():
    for line in child.stdout:
      text = line.decode(errors='replace').rstrip('\n')
      print(f'[process {process_id}] {text}', file=sys.stderr, flush=True)

  thread = threading.Thread(target=copy, daemon=True)
  thread.start()
  return thread


def _kill(children: Sequence[subprocess.Popen]) -> None:
  """Kills those that still run and waits for them."""
  for child in children:
    if child.poll() is None:  # it leads a group, of its workers too
      os.killpg(child.pid, signal.SIGKILL)
  for child in children:
    child.wait()


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
  """SIGTERM and SIGINT go to a handler."""
  before = {
    number: signal.signal(number, handler)
    for number in (signal.SIGTERM, signal.SIGINT)
  }
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old or signal.SIG_DFL)
