"""How the experiments of the hashing paper say what they ran and found."""

import dataclasses
import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.hash_study import CANDIDATES, HELD_OUT, MODE, Study
from facejax import files
from facejax.data.manifest import MANIFEST, read_manifest
from facejax.evaluation.identification.timing import machine
from facejax.evaluation.reporting.canvas import render
from facejax.files import Path


def describe(study: Study, script: str) -> dict[str, Any]:
  """JSON values that say on what, how and where an experiment ran."""
  return {
    'date': datetime.date.today().isoformat(),
    'command': ' '.join(
      ['python', '-m', f'benchmarks.{script}', *sys.argv[1:]]
    ),
    'machine': machine(),
    'load_average': os.getloadavg()[0],
    'study': dataclasses.asdict(study),
    'data': {
      name: _describe_set(path)
      for name, path in (('training', study.data), (HELD_OUT, study.held_out))
    },
    'protocol': 'closed set, full: the first image of everybody enrolled',
    'mode': MODE,
    'candidates': CANDIDATES,
  }


def _describe_set(path: str) -> dict[str, Any]:
  """Counts of a prepared set; of other data only where they are."""
  if not Path(path, MANIFEST).exists():
    return {'path': path}
  manifest = read_manifest(path)
  return {
    'path': path,
    'people': manifest['num_identities'],
    'images': manifest['num_images'],
  }


def publish(
  result: Mapping[str, Any],
  page: str,
  output: str | None,
  *,
  figure: Figure | None = None,
) -> None:
  """Shows the page, and writes what an experiment found.

  Args:
    result: JSON values.
    page: of Markdown.
    output: path of the .json, beside which .md and .png are written; None
      writes nothing.
    figure: for the .png.
  """
  files.note(page)
  if not output:
    return
  path = Path(output)
  files.write_json(path, result)
  files.write_bytes(path.with_suffix('.md'), page.encode())
  if figure is not None:
    files.write_bytes(path.with_suffix('.png'), render(figure))


def percent(share: float | int) -> str:
  """A share of 1 as a cell of a table."""
  return f'{100 * share:.2f}'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A table of Markdown; all columns but the first are numbers."""
  lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def setting(result: Mapping[str, Any]) -> str:
  """The sentences of a page that say what all its runs share."""
  study, data = result['study'], result['data']
  sets = [
    f'{found["people"]} people, {found["images"]:,} images'
    if 'people' in found
    else found['path']
    for found in data.values()
  ]
  machine_ = result['machine']
  height, width = result['architecture']['image_size']
  return (
    f'{study["steps"]:,} steps of {study["batch_size"]} images, trained on '
    f'{sets[0]}; held out: {sets[1]}. {result["architecture"]["name"]}, width '
    f'{result["architecture"]["width"]}, crops resized to {height} x {width}, '
    f'{result["loss"]}, first learning rate {result["learning_rate"]}, falling '
    'in a line.\n\n'
    f'{result["date"]}, {machine_["processor"]}, {machine_["num_devices"]} '
    f'devices, JAX {machine_["jax"]}, load average at the end '
    f'{result["load_average"]:.1f}: `{result["command"]}`\n'
  )
