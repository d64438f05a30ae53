"""Where the time of a compiled function goes, by kind of layer.

What runs is the function itself, as it was compiled, under JAX's profiler:
every operation of XLA leaves an event with its name, and the compiled text
says which layer the operation came from. What XLA fused counts for the layer of
the fusion's root, under all of that layer that it holds ('conv + activation').
An event's time is its own: what it spent inside others that it started (loops,
calls) counts for those. An operation that several threads share counts once, as
long as it took; one thread gives the cleanest numbers.
"""

import collections
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.profiler import ProfileData

from benchmarks import model_costs
from benchmarks.settings import Settings

_OPERATION = re.compile(r'\s+(ROOT )?%?([\w.-]+) = ')
_OP_NAME = re.compile(r'op_name="([^"]+)"')
_FUSED = re.compile(r' fusion\(.*calls=%?([\w.-]+)')
_COMPUTATION = re.compile(r'(?:ENTRY )?%?([\w.-]+) .*\{$')
_OUTSIDE = ('outside the layers', '', '')
_PARTS = ('conv', 'norm', 'activation', 'se')
_RECORDED_CALLS = 3
Kind = tuple[str, str]  # layer and direction; parts of the layer


def profile(
  work: Callable[[], Any], compiled: Any, settings: Settings, batch_size: int
) -> list[dict[str, Any]]:
  """Milliseconds a call by kind of layer, largest first.

  Args:
    work: calls the compiled function once, and waits for it.
    compiled: the `jax.stages.Compiled` that `work` calls.
    settings: of the net.
    batch_size: images in a call.

  Returns:
    Rows of 'layer' ('expand', 'expand backward'), 'ms',
    'share' of all, 'parts' (milliseconds of 'conv', 'norm', 'conv +
    activation' ...) and, of layers, 'gflops' (two operations a multiply-add)
    and 'gigabytes_per_second' of the convolutions' inputs and outputs.
  """
  work()
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for _ in range(_RECORDED_CALLS):
        work()
    files = list(pathlib.Path(folder).rglob('*.xplane.pb'))
    spans = [
      span
      for file in files
      for span in _spans(ProfileData.from_file(str(file)))
    ]
  rows = _group(spans, operation_layers(compiled.as_text()))
  return [row | _rates(row, settings, batch_size) for row in rows]


def operation_layers(text: str) -> dict[str, Kind]:
  """What is behind every operation of a compiled function's text."""
  origins: dict[str, tuple[str, str, str]] = {}
  inside: dict[str, set] = collections.defaultdict(set)
  fusions: dict[str, str] = {}
  computation = ''
  for line in text.splitlines():
    if header := _COMPUTATION.match(line):
      computation = header[1]
    operation, source = _OPERATION.match(line), _OP_NAME.search(line)
    if operation and source:
      origin = origins[operation[2]] = layer_origin(source[1])
      inside[computation].add(origin)
      if fused := _FUSED.search(line):
        fusions[operation[2]] = fused[1]
  return {
    name: _kind(origin, inside.get(fusions.get(name, ''), set()))
    for name, origin in origins.items()
  }


def layer_origin(op_name: str) -> tuple[str, str, str]:
  """(layer, part of it, '' or 'backward') of a path through the net.

  'jit(f)/jvp(Net)/stage0_block0/expand/conv/dot' is of ('expand', 'conv', '').
  """
  parts = re.sub(r'(transpose|jvp|jit|vmap)\(|\)', '', op_name).split('/')
  place = next((n for n, part in enumerate(parts) if part in _PARTS), None)
  if place is None:
    return _OUTSIDE
  direction = 'backward' if 'transpose(' in op_name else ''
  return parts[place - 1], parts[place], direction


def _kind(origin: tuple[str, str, str], fused: set) -> Kind:
  """('depthwise', 'conv + activation') for a fusion with that root."""
  layer, part, direction = origin
  held = {p for name, p, way in fused if (name, way) == (layer, direction)}
  parts = [p for p in _PARTS if p and p in held | {part}]
  return f'{layer} {direction}'.strip(), ' + '.join(parts)


def _spans(data: ProfileData) -> Iterable[tuple[str, float]]:
  """(operation, own nanoseconds) of every event of XLA."""
  for plane in data.planes:
    for line in plane.lines:
      events = [
        (event.start_ns, event.duration_ns, stats['hlo_op'])
        for event in line.events
        if 'hlo_op' in (stats := dict(event.stats))
      ]
      yield from own_times(events)


def own_times(
  events: Iterable[tuple[float, float, str]],
) -> list[tuple[str, float]]:
  """Durations less what lies inside, of the events of one thread.

  Args:
    events: (start, duration, name); any two are nested or apart.

  Returns:
    (name, own duration) of each.
  """
  own: list[list[Any]] = []
  stack: list[tuple[float, int]] = []  # end, place in `own`
  for start, duration, name in sorted(events, key=lambda e: (e[0], -e[1])):
    while stack and stack[-1][0] <= start:
      stack.pop()
    if stack:
      own[stack[-1][1]][1] -= duration
    stack.append((start + duration, len(own)))
    own.append([name, duration])
  return [(name, duration) for name, duration in own]


def _group(
  spans: list[tuple[str, float]], layers: dict[str, Kind]
) -> list[dict[str, Any]]:
  """Rows by layer and direction, the largest first."""
  times: dict[str, dict[str, float]] = collections.defaultdict(
    collections.Counter
  )
  for operation, nanoseconds in spans:
    layer, parts = layers.get(operation, (_OUTSIDE[0], ''))
    times[layer][parts] += nanoseconds / _RECORDED_CALLS / 1e6
  total = sum(sum(parts.values()) for parts in times.values())
  rows = [
    {
      'layer': layer,
      'ms': round(sum(parts.values()), 3),
      'share': round(sum(parts.values()) / total, 4),
      'parts': {part: round(ms, 3) for part, ms in parts.most_common() if part},
    }
    for layer, parts in times.items()
  ]
  return sorted(rows, key=lambda row: -row['ms'])


def _rates(
  row: dict[str, Any], settings: Settings, batch_size: int
) -> dict[str, float]:
  """What the layers of a row compute and move a second; {} for no layer."""
  layer, _, direction = row['layer'].partition(' ')
  costs = model_costs.by_kind(settings).get(layer)
  if costs is None or not row['ms']:
    return {}
  # Backward there are two products, and twice as much is read and written.
  adds, values = (cost * batch_size * (1 + bool(direction)) for cost in costs)
  itemsize = 2 if settings.precision == 'bfloat16' else 4
  return {
    'gflops': round(2e-6 * adds / row['ms'], 1),
    'gigabytes_per_second': round(1e-6 * itemsize * values / row['ms'], 1),
  }
