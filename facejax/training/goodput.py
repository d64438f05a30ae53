"""Where the wall time of a run goes: steps, and all that is not a step."""

import collections
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

# Accounts that every row of metrics has, whether anything was spent on them.
_ACCOUNTS = ('start', 'data', 'checkpoint', 'evaluation')
_TIMINGS = ('images_per_second', 'goodput')
# Steps that the recent rate and the time of a step on the device come from.
_RECENT = 100


class Goodput:
  """Accounts for the seconds since it was made.

  Invariants: a second belongs to one account or to the steps, so the accounts
  and the steps add up to the wall time; of accounts that are nested, it belongs
  to the innermost. Until the first step is done all time is 'start': opening,
  restoring, compiling, the first batch.

  The loop keeps a step in flight: it fetches batch n + 1 while the device works
  at step n. Waiting for data is then lost only as far as the device is idle,
  which is told in three ways. After an evaluation or a checkpoint nothing is in
  flight, and the whole wait is lost. If step n is still running when the loop
  comes to `wait` for it, the device was never idle, and the wait cost nothing.
  Otherwise the time from the end of step n - 1 to the end of step n is
  max(wait, time of the step on the device), so what it exceeds that time by is
  lost. That time is the median of recent steps that the loop did have to wait
  for: there are some after every pause, in which the pipeline reads ahead.
  Until there is one, or where `wait` is not used, all waiting counts as lost.
  """

  def __init__(self, *, clock: Callable[[], float | int] = time.perf_counter):
    """Starts the clock; tests bring one of their own."""
    self._clock = clock
    self._began = self._last = clock()
    self._spent = collections.Counter(dict.fromkeys(_ACCOUNTS, 0.0))
    self._open: list[str] = []
    self._started = self._was_busy = self._paused = False
    self._images, self._seconds = 0, 0.0
    self._recent: collections.deque = collections.deque(maxlen=_RECENT)
    self._device: collections.deque = collections.deque(maxlen=_RECENT)
    self._begin_interval()

  def _begin_interval(self) -> None:
    """Starts the time from the end of a step to the end of the next."""
    # Of the waits for data: those with a step in flight, and those without.
    self._steps = self._wait = self._idle_wait = 0.0
    self._had_pause = False

  def _settle(self) -> None:
    """Books the time since the last event to what was going on."""
    now = self._clock()
    seconds, self._last = float(now - self._last), now
    account = self._open[-1] if self._open else None
    if account is None:
      self._steps += seconds
    elif account != 'data':
      self._spent[account] += seconds
    elif self._paused:
      self._idle_wait += seconds
    else:
      self._wait += seconds

  @contextlib.contextmanager
  def spend(self, account: str) -> Iterator[None]:
    """Books the time of the block, but for blocks within it.

    Args:
      account: 'data', 'checkpoint', 'evaluation' or any other name. All but
        'data' are pauses: no step is in flight when they begin.
    """
    self._settle()
    self._open.append(account)
    if account != 'data':
      self._paused = self._had_pause = True
    try:
      yield
    finally:
      self._settle()
      self._open.pop()
      if account == 'data' and not self._open:
        self._paused = False

  def wait(self, result: Any) -> None:
    """Blocks until a step is done, as `jax.block_until_ready`.

    Args:
      result: any tree of arrays that the step returns.
    """
    leaves = jax.tree.leaves(result)
    self._was_busy = not all(leaf.is_ready() for leaf in leaves)
    jax.block_until_ready(result)

  def step_done(self, images: int) -> None:
    """Counts a step whose result is there."""
    self._settle()
    if self._started:
      self._count_step(images)
    else:
      self._started = True
      self._spent = collections.Counter(dict.fromkeys(_ACCOUNTS, 0.0))
      self._spent['start'] = float(self._last - self._began)
    self._was_busy = False
    self._begin_interval()

  def _count_step(self, images: int) -> None:
    """Divides the time since the step before into steps and lost waiting."""
    total, lost = self._steps + self._wait, 0.0
    if not self._was_busy:
      on_device = statistics.median(self._device) if self._device else 0.0
      lost = min(self._wait, max(0.0, total - on_device))
    elif not self._had_pause:
      self._device.append(total)
    self._spent['data'] += self._idle_wait + lost
    seconds = total + self._idle_wait
    self._recent.append((images, seconds))
    self._images += images
    self._seconds += seconds

  def rate(self, *, recent: bool = True) -> float:
    """Images per second of training, waiting for data included.

    Starting, evaluations, checkpoints and other pauses do not count.

    Args:
      recent: of the last 100 steps; otherwise of all since the first. 0 before
        the second step.
    """
    images, seconds = self._images, self._seconds
    if recent:
      images = sum(i for i, _ in self._recent)
      seconds = sum(s for _, s in self._recent)
    return images / seconds if seconds else 0.0

  def metrics(self) -> dict[str, float]:
    """What a row of metrics says of the time.

    Returns:
      `images_per_second` of recent steps; `goodput`, the share of the wall time
      since the start of this process that went into steps; `seconds/ACCOUNT`,
      spent since then.
    """
    self._settle()
    wall = float(self._last - self._began)
    spent = dict(self._spent)
    if not self._started:
      spent = dict.fromkeys(_ACCOUNTS, 0.0) | {'start': wall}
    lost = sum(spent.values())
    return {
      'images_per_second': self.rate(),
      'goodput': (wall - lost) / wall if wall else 0.0,
      **{f'seconds/{account}': spent[account] for account in spent},
    }


def is_timing(name: str) -> bool:
  """Whether a metric depends on speed, and differs from run to run."""
  return name in _TIMINGS or name.startswith('seconds/')


def progress_text(values: Mapping[str, float]) -> str:
  """What stands behind the progress bar of a run.

  Args:
    values: `loss` and `Goodput.metrics()`; what is missing is left out.

  Returns:
    For example 'loss 3.214, 812 images/s', and where less than 95 % of the time
    goes into steps 'goodput 80% (checkpoint 12 s)', with what took most.
  """
  parts = []
  if 'loss' in values:
    parts.append(f'loss {values["loss"]:.3f}')
  if 'images_per_second' in values:
    parts.append(f'{values["images_per_second"]:.0f} images/s')
  spent = {k: v for k, v in values.items() if k.startswith('seconds/')}
  if spent and values.get('goodput', 1.0) < 0.95:
    most = max(spent, key=spent.__getitem__)
    account = most.removeprefix('seconds/')
    parts.append(
      f'goodput {values["goodput"]:.0%} ({account} {spent[most]:.0f} s)'
    )
  return ', '.join(parts)
