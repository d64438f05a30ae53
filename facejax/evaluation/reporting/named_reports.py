"""Reports with the names of their models, and whether they fit each other."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from facejax import files
from facejax.errors import UsageError
from facejax.evaluation.reporting.findings import find_sections
from facejax.evaluation.reporting.report import Report, read_report

# A folder with one of these names says less than the folder it stands in.
_PLAIN_NAMES = ('model', 'model_best', 'model_float', 'model_packed')
_TEXTS = ('set', 'split', 'view')  # that make another image set
_MAX_UNLIKE = 3  # differences that an error lists


@dataclasses.dataclass(frozen=True)
class Named:
  """A report and what it is called.

  Attributes:
    name: of the model.
    path: of the report.
    report: as it was written.
  """

  name: str
  path: str
  report: Report

  @property
  def protocol(self) -> str:
    """Name of the protocol."""
    return str(self.report.result['protocol'])


def model_name(result: Mapping[str, Any]) -> str:
  """What a result calls its model: a folder, or a file of embeddings."""
  path = files.Path(result.get('model') or result.get('embeddings') or 'model')
  if path.suffix == '.npz':
    return path.stem
  if path.name in _PLAIN_NAMES and path.parent.name:
    return f'{path.parent.name}/{path.name}'
  return path.name or str(path)


def read_named(
  paths: Sequence[files.PathLike], names: Sequence[str] = ()
) -> list[Named]:
  """Reads the reports to compare.

  Args:
    paths: two folders or more.
    names: of their models, one a report; a model that has reports of several
      protocols has the same name in all. Empty: from the reports.

  Raises:
    UsageError: too few reports, another number of names, or an empty name.
    DataError: a report cannot be read.
  """
  if len(paths) < 2:
    raise UsageError(f'two reports or more are needed, {len(paths)} given')
  if names and len(names) != len(paths):
    raise UsageError(
      f'{len(paths)} reports and {len(names)} names: give one name a report'
    )
  if not all(name.strip() for name in names):
    raise UsageError(f'--names={",".join(names)}: a name is empty')
  reports = [read_report(path) for path in paths]
  names = names or [model_name(report.result) for report in reports]
  return [
    Named(name, str(path), report)
    for name, path, report in zip(names, paths, reports, strict=True)
  ]


def _set_facts(result: Mapping[str, Any]) -> dict[str, Any]:
  """Counts and names of the image set of a result."""
  parts = [result, *(section.values for section in find_sections(result))]
  return {
    key: value
    for part in reversed(parts)
    for key, value in part.items()
    if key.startswith('num_') or key in _TEXTS
  }


def check_set(first: Named, other: Named) -> None:
  """Refuses reports that were measured on different images or pairs.

  Args:
    first: a report.
    other: another of the same protocol.

  Raises:
    UsageError: their counts or their sets differ.
  """
  one, two = (_set_facts(each.report.result) for each in (first, other))
  unlike = [
    f'{key.removeprefix("num_").replace("_", " ")} {one[key]} and {two[key]}'
    for key in one
    if key in two and one[key] != two[key]
  ]
  if unlike:
    raise UsageError(
      f'{first.path} and {other.path} are both of protocol '
      f'{first.protocol} and of different sets '
      f'({"; ".join(unlike[:_MAX_UNLIKE])}): evaluate the models on one'
    )
