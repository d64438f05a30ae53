"""Reports: one JSON object and its pictures in a folder."""

import dataclasses
from typing import Any

from facejax import files

RESULTS = 'results.json'


@dataclasses.dataclass(frozen=True)
class Report:
  """What an evaluation found.

  Attributes:
    result: JSON values.
    figures: PNG files by name.
  """

  result: dict[str, Any]
  figures: dict[str, bytes]

  def write(self, path: files.PathLike) -> dict[str, Any]:
    """Writes results.json and the pictures as one new folder.

    A report that stands there is replaced at the very end, so a command can
    be run again; a folder that holds anything else is left alone.

    Returns:
      The result with the key `output`.

    Raises:
      UsageError: something other than a report stands at `path`.
    """
    path = files.Path(path)
    result = self.result | {
      'output': str(path),
      'figures': sorted(self.figures),
    }
    with files.new_directory(path, overwrite=is_report(path)) as folder:
      files.write_json(folder / RESULTS, result)
      for name, data in self.figures.items():
        files.write_bytes(folder / name, data)
    return result


def is_report(path: files.PathLike) -> bool:
  """Whether a folder holds a report of ours and nothing else."""
  path = files.Path(path)
  if not (path / RESULTS).exists():
    return False
  result = files.read_json(path / RESULTS)
  figures = result.get('figures', []) if isinstance(result, dict) else []
  return {entry.name for entry in path.iterdir()} <= {RESULTS, *figures}
