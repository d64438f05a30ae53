"""How the speed benchmarks describe the machine and show what they found."""

import datetime
import importlib.metadata
import os
import platform
import sys
from typing import Any

import jax

from benchmarks import model_costs
from benchmarks import settings as settings_lib
from benchmarks.settings import Settings
from facejax import files
from facejax.errors import UsageError
from facejax.evaluation.identification.timing import processor

_PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy', 'torch', 'onnxruntime')
_SHOWN_SHARE = 0.01


class UnavailableError(Exception):
  """A side that cannot be measured here; the message says why."""


# What makes a side be left out instead of ending the benchmark.
SKIPPED = (ImportError, UnavailableError)


def reason(error: Exception) -> str:
  """One short line."""
  return ' '.join(str(error).split())[:160]


def _chip() -> str:
  """What the maker calls the processor or the GPU."""
  if jax.default_backend() != 'cpu':
    return jax.devices()[0].device_kind
  return processor()


def _versions() -> dict[str, str]:
  """Of the packages that are here."""
  found = {'python': platform.python_version()}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def describe(settings: Settings) -> dict[str, Any]:
  """What is measured on what, from inside the measuring process.

  Raises:
    UsageError: a GPU is wanted, and JAX has none.
  """
  if settings.device == 'gpu' and jax.default_backend() == 'cpu':
    raise UsageError('JAX sees no GPU: install its CUDA plugin or --device=cpu')
  return {
    'chip': _chip(),
    'device': settings.device,
    'threads': settings.threads if settings.device == 'cpu' else None,
    'precision': settings.precision,
    'image_size': settings.image_size,
    'width': settings.width,
    # Of other work too: peers whose threads wait for each other suffer most.
    'load_average': os.getloadavg()[0],
  }


def floor_shares(
  settings: Settings,
  batch_size: int,
  summary: dict[str, dict[str, float]],
  *,
  training: bool,
) -> dict[str, Any] | None:
  """How near every side comes to the memory bandwidth.

  Args:
    settings: of the net; its bandwidth comes before the chip's.
    batch_size: images in a call.
    summary: see `rounds.summarize`.
    training: whether a step was timed.

  Returns:
    'milliseconds' at the 'bandwidth', and the 'share' of each side's median
    that they are; None for a chip whose bandwidth is not known.
  """
  rate = settings.bandwidth or model_costs.bandwidth(_chip())
  if rate is None:
    return None
  floor = model_costs.memory_floor(settings, batch_size, training=training)
  milliseconds = floor / rate / 1e6
  return {
    'bandwidth': rate,
    'gigabytes': round(floor / 1e9, 4),
    'milliseconds': round(milliseconds, 3),
    'share': {
      name: round(milliseconds / row['median_ms'], 3)
      for name, row in summary.items()
    },
  }


def report(what: str, results: list[dict[str, Any]]) -> dict[str, Any]:
  """Shows the results as tables, writes --output, and returns them whole."""
  for result in results:
    _print(what, result)
  whole = {
    'date': datetime.date.today().isoformat(),
    'what': what,
    'command': ' '.join(['python', '-m', _script(), *sys.argv[1:]]),
    'versions': _versions(),
    'results': results,
  }
  if settings_lib.OUTPUT.value:
    files.write_json(settings_lib.OUTPUT.value, whole)
  return whole


def _script() -> str:
  spec = getattr(sys.modules['__main__'], '__spec__', None)
  return spec.name if spec else 'benchmarks'


def _print(what: str, result: dict[str, Any]) -> None:
  place = result['chip']
  if result['threads']:
    place += f', {result["threads"]} thread(s), load {result["load_average"]:g}'
  for batch in result['batches']:
    print(
      f'\n{what}, batch {batch["batch_size"]}, {result["precision"]}, {place}\n'
      f'{"":22s} median ms    min ms  images/s  ours over it      check  floor',
      file=sys.stderr,
    )
    shares = (batch['memory_floor'] or {'share': {}})['share']
    for name, row in batch['sides'].items():
      ratio, share = batch['facejax_over'].get(name), shares.get(name)
      check = row.get('max_error', row.get('first_loss'))
      print(
        f'{name:22s} {row["median_ms"]:9.1f} {row["min_ms"]:9.1f}'
        f' {row["images_per_second"]:9.1f}'
        f' {"" if ratio is None else f"{ratio:.2f}":>13s} {check:10.3g}'
        f' {"" if share is None else f"{share:.2f}":>6s}',
        file=sys.stderr,
      )
    for name, why in batch['skipped'].items():
      print(f'{name:22s} skipped: {why}', file=sys.stderr)
    _print_profile(batch['profile'])


def _print_profile(rows: list[dict[str, Any]] | None) -> None:
  """Where our time goes, but for what is too little to matter."""
  if rows is None:
    return
  print(
    f'\n{"where our time goes":26s}       ms  share GFLOP/s    GB/s  of which',
    file=sys.stderr,
  )
  for row in rows:
    if row['share'] >= _SHOWN_SHARE:
      parts = ', '.join(
        f'{part} {ms:.1f}'
        for part, ms in row['parts'].items()
        if ms >= _SHOWN_SHARE * row['ms']
      )
      print(
        f'{row["layer"]:26s} {row["ms"]:8.2f} {row["share"]:6.1%}'
        f' {row.get("gflops", ""):>7} {row.get("gigabytes_per_second", ""):>7}'
        f'  {parts}',
        file=sys.stderr,
      )
