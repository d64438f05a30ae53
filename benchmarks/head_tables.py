"""Steps compiled for eight described devices, and their tables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from configs import iresnet, mobilefacenet
from facejax import files
from facejax.errors import UsageError
from facejax.parallel import mesh as mesh_lib
from facejax.training import dry_run, memory
from facejax.training.recipe import make_learner

NUM_DEVICES = 8
BATCH_SIZE = 1024
EMBEDDING_SIZE = 512
RATES = (1.0, 0.1)
HEAD_PARTS = ('head', 'head_optimizer', 'head_workspace', 'total')

_MILLION = 10**6
_GIB = 2**30
_FINEST = 0.1  # millions that the largest number is found to
_MOST = 64.0
# Net, type, identities in millions, rate, batch, further fields.
_NETS = (
  ('mobilefacenet', 'bfloat16', 100, 0.1, 512, {}),
  ('mobilefacenet', 'bfloat16', 100, 0.1, 1024, {}),
  ('iresnet50', 'bfloat16', 100, 0.1, 512, {}),
  ('iresnet50', 'bfloat16', 100, 0.1, 1024, {}),
  ('iresnet50', 'bfloat16', 100, 0.1, 1024, {'remat': True}),
  ('mobilefacenet', 'bfloat16', 10, 1.0, 1024, {}),
)


def _config(net: str, batch_size: int, **fields: Any) -> Any:
  """A recipe with embeddings of 512, changed."""
  source = iresnet if net.startswith('iresnet') else mobilefacenet
  config = source.get_config(net)
  config.model.embedding_size = EMBEDDING_SIZE
  config.data.batch_size = batch_size
  config.update_from_flattened_dict(fields)
  return config


def _head(millions: float, rate: float) -> memory.StepMemory:
  """The head of so many rows on each device, compiled without a net."""
  devices = dry_run.describe_devices(NUM_DEVICES)
  learner = make_learner(
    _config('mobilefacenet', BATCH_SIZE, **{'head.sample_rate': rate}),
    num_identities=round(millions * _MILLION) * NUM_DEVICES,
    mesh=mesh_lib.make_mesh(devices=devices),
    conv_path='convolution',
  )
  return memory.head_memory(learner, BATCH_SIZE)


def _fits(total: int) -> bool:
  return total <= dry_run.usable_bytes(dry_run.DEVICE_MEMORY)


def measure_heads(millions: Sequence[float]) -> list[dict[str, Any]]:
  """Bytes of heads, dense and sampled.

  Args:
    millions: of identities on a device.

  Returns:
    For each a row: 'millions', 'sample_rate', the parts of `HEAD_PARTS` in
    bytes per device, and whether the total 'fits'.
  """
  rows = []
  for rate in RATES:
    for value in files.progress(
      millions, desc=f'heads, rate {rate}', unit='head'
    ):
      parts = _head(value, rate).by_name()
      rows.append(
        {'millions': value, 'sample_rate': rate}
        | {name: parts[name] for name in HEAD_PARTS}
        | {'fits': _fits(parts['total'])}
      )
  return rows


def measure_largest() -> dict[str, float]:
  """By rate, the most millions of identities whose head alone fits."""
  found = {}
  for rate in RATES:
    low, high = 0, round(_MOST / _FINEST)
    while high - low > 1:
      middle = (low + high) // 2
      if _fits(_head(middle * _FINEST, rate).total):
        low = middle
      else:
        high = middle
    found[str(rate)] = round(low * _FINEST, 1)
  return found


def measure_nets() -> list[dict[str, Any]]:
  """`dry_run.estimate` of whole steps, with what they are of."""
  results = []
  for net, dtype, millions, rate, batch_size, fields in files.progress(
    _NETS, desc='nets', unit='net'
  ):
    config = _config(
      net, batch_size, **{'head.sample_rate': rate, 'dtype': dtype}, **fields
    )
    result = dry_run.estimate(
      config,
      num_identities=millions * _MILLION,
      devices=dry_run.describe_devices(NUM_DEVICES),
    )
    what = {'net': net, 'dtype': dtype, 'sample_rate': rate, **fields}
    results.append(what | result)
  return results


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Rows of cells as markdown."""
  lines = [names, ['---'] * len(names), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _gib(size: int) -> str:
  return f'{size / _GIB:.2f}'


def _yes(value: bool) -> str:
  return 'yes' if value else 'no'


def heads_table(rows: Sequence[Mapping[str, Any]]) -> str:
  """The rows of `measure_heads`, GiB per device."""
  names = ['millions', 'rate', 'class weights', 'momentum']
  return _table(
    [*names, 'workspace', 'total', 'fits'],
    [
      [
        f'{row["millions"]:g}',
        f'{row["sample_rate"]:g}',
        *(_gib(row[name]) for name in HEAD_PARTS),
        _yes(row['fits']),
      ]
      for row in rows
    ],
  )


def largest_table(largest: Mapping[str, float]) -> str:
  """The numbers of `measure_largest`."""
  return _table(
    ['rate', 'millions on a device', f'on {NUM_DEVICES}'],
    [
      [f'{float(rate):g}', f'{value:g}', f'{value * NUM_DEVICES:g}']
      for rate, value in largest.items()
    ],
  )


def nets_table(results: Sequence[Mapping[str, Any]]) -> str:
  """The results of `measure_nets`, GiB per device."""
  rows = []
  for result in results:
    parts = result['bytes_per_device']
    net = ('parameters', 'optimizer', 'ema', 'batch')
    remat = ', remat' if result.get('remat') else ''
    rows.append(
      [
        f'{result["net"]}{remat}',
        f'{result["num_identities"] / _MILLION:g}',
        f'{result["sample_rate"]:g}',
        str(result['batch_size']),
        _gib(sum(parts[name] for name in net)),
        _gib(parts['head'] + parts['head_optimizer']),
        _gib(parts['activations']),
        _gib(parts['head_workspace']),
        _gib(parts['total']),
        _yes(result['fits']),
      ]
    )
  names = ['net', 'millions', 'rate', 'batch', 'net and batch', 'head']
  return _table(
    [*names, 'activations', 'head workspace', 'total', 'fits'], rows
  )


def replace_tables(page: str, tables: Mapping[str, str]) -> str:
  """The page with its tables of these names replaced.

  Args:
    page: markdown; a table NAME stands between `<!-- NAME -->` and
      `<!-- end of NAME -->`.
    tables: markdown by name.

  Raises:
    UsageError: the page has no such place.
  """
  for name, table in tables.items():
    pattern = rf'(<!-- {name} -->\n).*?(<!-- end of {name} -->)'
    page, count = re.subn(
      pattern,
      lambda match, table=table: match[1] + table + '\n' + match[2],
      page,
      flags=re.DOTALL,
    )
    if count != 1:
      raise UsageError(f'the page has no place for the table of {name}')
  return page
