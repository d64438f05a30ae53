"""What a prepared set holds: counts, duplicates, pictures.

Everything goes into the folder `report` of the set.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facejax import files
from facejax.array_typing import Int, Int32
from facejax.data import records
from facejax.data.contact_sheet import contact_sheet
from facejax.data.images import decode_image, encode_png
from facejax.data.manifest import IDENTITY_SIZES
from facejax.evaluation.reporting.canvas import render
from facejax.files import Path
from facejax.preparation import draft

FOLDER = 'report'
REPORT = 'report.json'
HISTOGRAM = 'images_per_identity.png'
CONTACT_SHEET = 'contact_sheet.png'
DUPLICATES = 'duplicates.tsv'
EXCLUDE_DUPLICATES = 'exclude_duplicates.txt'
_SHEET_COLUMNS, _SHEET_ROWS = 12, 8


def _equal_runs(
  digests: Int[np.ndarray, ' N'],
) -> Iterator[Int[np.ndarray, ' n']]:
  """Places of equal values, those that occur more than once."""
  order = np.argsort(digests, kind='stable')
  values = digests[order]
  starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
  ends = np.r_[starts[1:], len(values)]
  repeated = ends - starts > 1
  for start, end in zip(starts[repeated], ends[repeated], strict=True):
    yield order[start:end]


def find_duplicates(
  faces: records.FaceRecords, digests: Int[np.ndarray, ' N']
) -> Iterator[tuple[str, str]]:
  """Keys of records with the same bytes: the first, and one that repeats it.

  Args:
    faces: a prepared set.
    digests: a hash of the image of every record; equal hashes are compared
      byte by byte.
  """
  for run in _equal_runs(digests):
    first_with: dict[bytes, str] = {}
    for record in faces.__getitems__(run):
      first = first_with.setdefault(record['image'], record['key'])
      if first != record['key']:
        yield first, record['key']


def _write_duplicates(
  folder: Path, faces: records.FaceRecords, digests: Int[np.ndarray, ' N']
) -> dict[str, int]:
  """The list of exact duplicates, and the one to exclude them by."""
  num, num_across = 0, 0
  with (
    (folder / DUPLICATES).open('w') as table,
    (folder / EXCLUDE_DUPLICATES).open('w') as excluded,
  ):
    table.write('image\trepeated_by\tidentity\n')
    for first, second in find_duplicates(faces, digests):
      same = first.split('/')[0] == second.split('/')[0]
      table.write(f'{first}\t{second}\t{"same" if same else "another"}\n')
      # 'file#2' came from a second input; its name alone would match both.
      hides_two = '#' in second
      excluded.write(f'{"# " if hides_two else ""}{second}\n')
      num += 1
      num_across += not same
  return {'num_duplicates': num, 'num_duplicates_across_identities': num_across}


def histogram_figure(sizes: Int32[np.ndarray, ' K']) -> Figure:
  """How many identities have how many images."""
  figure = Figure(figsize=(7, 4), layout='constrained')
  axes = figure.add_subplot()
  most = int(sizes.max())
  edges = (
    np.arange(most + 2) - 0.5
    if most <= 60
    else np.unique(np.geomspace(1, most + 1, 50).astype(int)) - 0.5
  )
  axes.hist(sizes, bins=edges, color='#0072B2')
  if most > 60:
    axes.set_xscale('log')
  axes.yaxis.set_major_locator(MaxNLocator(integer=True))
  axes.spines[['top', 'right']].set_visible(False)
  axes.set_xlabel('images of an identity')
  axes.set_ylabel('identities')
  axes.set_title(
    f'{len(sizes):,} identities, {int(sizes.sum()):,} images, median '
    f'{int(np.median(sizes))}'
  )
  return figure


def _sheet(faces: records.FaceRecords) -> np.ndarray:
  """Images spread evenly over the set."""
  count = min(len(faces), _SHEET_COLUMNS * _SHEET_ROWS)
  places = np.linspace(0, len(faces) - 1, count).astype(int)
  images = [
    decode_image(record['image'], record['key'])
    for record in faces.__getitems__(places)
  ]
  return contact_sheet(np.stack(images), min(count, _SHEET_COLUMNS))


def _quartiles(sizes: Int32[np.ndarray, ' K']) -> dict[str, int]:
  names = ('min', 'lower_quartile', 'median', 'upper_quartile', 'max')
  values = np.percentile(sizes, (0, 25, 50, 75, 100), method='nearest')
  return dict(zip(names, map(int, values), strict=True))


def write_report(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
  """Writes `report/` of a set whose other files stand.

  Args:
    directory: of a finished draft, its traces not yet removed.
    manifest: of the set.

  Returns:
    What report.json holds.
  """
  folder = directory / FOLDER
  folder.mkdir(exist_ok=True)
  faces = records.FaceRecords(directory)  # what cannot be read is not a set
  sizes = np.load(directory / IDENTITY_SIZES)
  (directory / draft.REJECTED).copy(folder / draft.REJECTED, overwrite=True)
  digests = np.fromfile(directory / draft.DIGESTS, np.int64)
  summary = {
    name: manifest[name]
    for name in manifest
    if name.startswith('num_') or name in ('inputs', 'claims')
  }
  summary |= {
    'images_per_identity': _quartiles(sizes),
  }
  summary |= _write_duplicates(folder, faces, digests)
  files.write_bytes(folder / HISTOGRAM, render(histogram_figure(sizes)))
  files.write_bytes(folder / CONTACT_SHEET, encode_png(_sheet(faces)))
  files.write_json(folder / REPORT, summary)
  return summary
