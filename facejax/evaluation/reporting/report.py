"""Reports: one JSON object, its pictures and a page, in a folder."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.errors import DataError
from facejax.evaluation.reporting import measurements as stored
from facejax.evaluation.reporting import page, pictures
from facejax.evaluation.reporting.curves import ConfusedPair, Curves

RESULTS = 'results.json'
MEASUREMENTS = 'measurements.npz'
PAGE = 'report.html'


@dataclasses.dataclass(frozen=True)
class Report:
  """What an evaluation found.

  Attributes:
    result: JSON values.
    title: stands above pictures and page, 'LFW: 6,000 pairs'.
    curves: what the pictures are drawn from.
    confused: the most confused pairs, worst first.
    measurements: arrays that a later comparison of models needs beside the
      curves, by name.
  """

  result: dict[str, Any]
  title: str
  curves: Curves = dataclasses.field(default_factory=Curves)
  confused: Sequence[ConfusedPair] = ()
  measurements: Mapping[str, np.ndarray] = dataclasses.field(
    default_factory=dict
  )

  def write(
    self, path: files.PathLike, *, command: str | None = None
  ) -> dict[str, Any]:
    """Writes result, pictures, page and measurements as one new folder.

    A report that stands there is replaced at the very end, so a command can
    be run again; a folder that holds anything else is left alone.

    Args:
      path: the folder: results.json, the pictures that there are (roc.png,
        det.png, cmc.png, dir.png, candidates.png, histogram.png,
        degradation.png),
        report.html with everything in one file, and measurements.npz, which
        `launch.compare` reads.
      command: the command line, for the page.

    Returns:
      The result with the keys `output`, `figures` and `date`.

    Raises:
      UsageError: something other than a report stands at `path`.
    """
    files.check_new_directory(path, overwrite=is_report(path))
    drawn = pictures.draw(self.curves, title=self.title)
    result = self.result | {
      'output': str(path),
      'figures': sorted(picture.file_name for picture in drawn),
      'date': now(),
    }
    text = page.report_page(
      result, self.title, drawn, self.confused, command=command
    )
    contents = {picture.file_name: picture.data for picture in drawn}
    contents[PAGE] = text
    contents[MEASUREMENTS] = stored.encode(
      self.curves, self.measurements, title=self.title
    )
    write_folder(path, result, contents)
    return result


def now() -> str:
  """Date and time in UTC, to the second."""
  return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def write_folder(
  path: files.PathLike, result: dict[str, Any], contents: Mapping[str, bytes]
) -> None:
  """Writes results.json and other files as one new folder, whole or not.

  Raises:
    UsageError: something other than a report stands at `path`.
  """
  with files.new_directory(path, overwrite=is_report(path)) as folder:
    files.write_json(folder / RESULTS, result)
    for name, data in contents.items():
      files.write_bytes(folder / name, data)


def check_place(path: files.PathLike) -> None:
  """Refuses, before the work is done, where no report can be written.

  Raises:
    UsageError: something other than a report stands at `path`.
  """
  files.check_new_directory(path, overwrite=is_report(path))


def is_report(path: files.PathLike) -> bool:
  """Whether a folder holds a report of ours and nothing else."""
  path = files.Path(path)
  if not (path / RESULTS).exists():
    return False
  try:
    result = files.read_json(path / RESULTS)
  except DataError:
    return False
  figures = result.get('figures', []) if isinstance(result, dict) else []
  ours = {RESULTS, MEASUREMENTS, PAGE, *figures}
  return {entry.name for entry in path.iterdir()} <= ours


def read_report(path: files.PathLike) -> Report:
  """Reads a report that `write` wrote; the confused pairs stay in its page.

  Args:
    path: the folder. A report of an older version has results.json only, and
      then no curves.

  Raises:
    DataError: no report stands there, or it cannot be read.
  """
  path = files.Path(path)
  if not (path / RESULTS).exists():
    raise DataError(
      f'{path} holds no {RESULTS}: give folders that launch.evaluate wrote'
    )
  result = files.read_json(path / RESULTS)
  if not isinstance(result, dict) or 'protocol' not in result:
    raise DataError(
      f'{path / RESULTS} is no result of a protocol: give folders that '
      'launch.evaluate wrote'
    )
  if not (path / MEASUREMENTS).exists():
    return Report(result, title=str(result['protocol']))
  curves, measured, title = stored.read(path / MEASUREMENTS)
  return Report(result, title, curves, measurements=measured)
