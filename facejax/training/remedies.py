"""What would make a step fit that does not, each remedy compiled as well."""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from facejax import files

_GIB, _MIB = 2**30, 2**20
MOST_DEVICES = 8  # times as many are looked at
_RATES = (0.1, 0.01)
_TRIES = 3  # programs compiled for one kind of remedy

# From a changed config and a multiple of its devices to `dry_run.estimate`.
Measure = Callable[[Any, int], dict[str, Any]]


def size_text(size: float | int) -> str:
  """Bytes in words: GiB, MiB or few bytes."""
  if size < 0.1 * _MIB:
    return f'{size:.0f} bytes'
  unit, name = (_GIB, 'GiB') if size >= 0.1 * _GIB else (_MIB, 'MiB')
  value = size / unit
  return f'{value:.0f} {name}' if value >= 100 else f'{value:.3g} {name}'


@dataclasses.dataclass(frozen=True)
class Remedy:
  """Fields of a config to set, and times as many devices."""

  fields: tuple[tuple[str, Any], ...] = ()
  factor: int = 1

  def apply(self, config: Any) -> Any:
    """A copy of the config with it."""
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(dict(self.fields))
    if self.factor > 1 and changed.mesh.data > 0:
      changed.mesh.data *= self.factor
    return changed

  def flags(self, config: Any, result: dict[str, Any]) -> str:
    """How to ask for it."""
    words = [f'--config.{name}={value}' for name, value in self.fields]
    if self.factor > 1:
      words.append(f'--devices={self.factor * result["devices"]}')
      if config.mesh.data > 0:
        words.append(f'--config.mesh.data={self.factor * config.mesh.data}')
    return ' '.join(words)


def _shared_bytes(config: Any, parts: dict[str, int]) -> int:
  """Exact bytes that more devices along 'data' share."""
  shared = parts['batch']
  if 'data' in config.head.axes:
    shared += parts['head'] + parts['head_optimizer']
  return shared


def _halvings(
  config: Any, result: dict[str, Any], name: str
) -> Iterator[Remedy]:
  """Smaller batches, or more parts of one, that might be small enough."""
  parts = result['bytes_per_device']
  temporary = parts['activations'] + parts['head_workspace']
  fixed = parts['total'] - temporary
  unit = result['devices'] * config.micro_batches
  for factor in itertools.takewhile(
    lambda f: result['batch_size'] % (unit * f) == 0,
    (2**power for power in itertools.count(1)),
  ):
    if fixed + temporary / factor <= result['usable_bytes']:
      value = (
        config.micro_batches * factor
        if name == 'micro_batches'
        else result['batch_size'] // factor
      )
      yield Remedy(((name, value),))


def _kinds(config: Any, result: dict[str, Any]) -> list[list[Remedy]]:
  """Kinds of remedies that may suffice, each from mild to strong.

  Left out is what falls short even if it took away all that it acts on.
  """
  parts, usable = result['bytes_per_device'], result['usable_bytes']
  kinds = []
  if not config.remat and parts['total'] - parts['activations'] <= usable:
    kinds.append([Remedy((('remat', True),))])
  for name in ('micro_batches', 'data.batch_size'):
    kinds.append(list(_halvings(config, result, name)))
  if parts['total'] - parts['head_workspace'] <= usable:
    kinds.append(
      [
        Remedy((('head.sample_rate', rate),))
        for rate in _RATES
        if rate < config.head.sample_rate
      ]
    )
  temporary = parts['activations'] + parts['head_workspace']
  shared = _shared_bytes(config, parts) + temporary
  devices, batch_size = result['devices'], result['batch_size']
  kinds.append(
    [
      Remedy(factor=factor)
      for factor in (2, 4, 8)
      if factor <= MOST_DEVICES
      and parts['total'] - shared + shared / factor <= usable
      and batch_size % (devices * factor * config.micro_batches) == 0
    ]
  )
  return [kind[:_TRIES] for kind in kinds if kind]


def _together(
  config: Any, result: dict[str, Any], measure: Measure
) -> list[tuple[Remedy, int]]:
  """Less work of every kind at once, and then the largest batch."""
  fields = {} if config.remat else {'remat': True}
  if config.head.sample_rate > _RATES[0]:
    fields['head.sample_rate'] = _RATES[0]
  remedy = Remedy(tuple(fields.items()))
  changed = remedy.apply(config)
  smaller = measure(changed, 1)
  if smaller['fits']:
    return [(remedy, smaller['bytes_per_device']['total'])]
  for halving in _halvings(changed, smaller, 'data.batch_size'):
    both = Remedy((*remedy.fields, *halving.fields))
    found = measure(both.apply(config), 1)
    if found['fits']:
      return [(both, found['bytes_per_device']['total'])]
  return []


def _find(
  config: Any, result: dict[str, Any], measure: Measure
) -> list[tuple[Remedy, int]]:
  """What fits, of each kind the mildest; if none does, several at once."""
  parts = result['bytes_per_device']
  exact = sum(parts[name] for name in result['exact'])
  found = []
  for kind in files.progress(
    _kinds(config, result), desc='what would fit', unit='remedy'
  ):
    for remedy in kind:
      changed = measure(remedy.apply(config), remedy.factor)
      if changed['fits']:
        found.append((remedy, changed['bytes_per_device']['total']))
        break
  if not found and exact <= result['usable_bytes']:
    found = _together(config, result, measure)
  return found


def _least_devices(config: Any, result: dict[str, Any]) -> str:
  """How many devices the exact part alone needs, in words."""
  parts, devices = result['bytes_per_device'], result['devices']
  shared = _shared_bytes(config, parts)
  exact = sum(parts[name] for name in result['exact'])
  left = result['usable_bytes'] - (exact - shared)
  if left <= 0:
    return (
      'no number of devices would do, since each has to hold '
      f'{size_text(exact - shared)} whole'
    )
  least = -(-shared * devices // left)
  if least <= devices:
    return (
      'remat, Partial FC and the smallest batch together are still too much: '
      'take a smaller net, or devices with more memory'
    )
  return (
    'nothing else than more devices would do: class weights, their momentum '
    f'and parameters alone need {least}'
  )


def refusal(config: Any, result: dict[str, Any], measure: Measure) -> str:
  """Why a step is refused: what is missing, what takes it, what would fit.

  Args:
    config: of the step that does not fit.
    result: its `dry_run.estimate`.
    measure: estimates changed configs.

  Returns:
    One line; every remedy that it names has been compiled.
  """
  parts = dict(result['bytes_per_device'])
  total, usable = parts.pop('total'), result['usable_bytes']
  largest = max(parts, key=parts.get)
  found = [
    f'{remedy.flags(config, result)} ({size_text(size)})'
    for remedy, size in _find(config, result, measure)
  ]
  fits = 'what fits: ' + ', or '.join(found)
  return (
    f'a step needs {size_text(total)} on each of {result["devices"]} devices, '
    f'{size_text(total - usable)} more than the {size_text(usable)} that can '
    f'be used of {size_text(result["device_memory_bytes"])}; most is '
    f'{largest}, {size_text(parts[largest])}; '
    + (fits if found else _least_devices(config, result))
  )
