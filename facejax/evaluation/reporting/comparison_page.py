"""The page of several models, and its folder."""

from collections.abc import Sequence
from typing import Any

from facejax import files
from facejax.evaluation.reporting import (
  comparison,
  named_reports,
  pictures,
  report,
  templating,
)
from facejax.evaluation.reporting.comparison import Group
from facejax.evaluation.reporting.curves import Curves
from facejax.evaluation.reporting.facts import find_facts
from facejax.evaluation.reporting.labels import protocol_name
from facejax.evaluation.reporting.tables import (
  joined_table,
  paired_table,
  part_tables,
)


def _curves(group: Group) -> dict[str, Curves]:
  """Curves of the reports of a protocol by what a legend calls them."""
  names = [member.name for member in group.members]
  modes = {str(m.report.result.get('mode', '')) for m in group.members}
  if len(set(names)) < len(names) or len(modes) > 1:
    names = [f'{m.name}, {m.report.result.get("mode")}' for m in group.members]
  return {
    name: member.report.curves
    for name, member in zip(names, group.members, strict=True)
  }


def _part(group: Group) -> tuple[dict[str, Any], list[pictures.Picture]]:
  """What a page shows of a protocol, and its pictures."""
  drawn = pictures.draw_together(
    _curves(group), title=group.title, prefix=f'{group.protocol}_'
  )
  facts, *others = (find_facts(m.report.result) for m in group.members)
  facts = {
    label: text
    for label, text in facts.items()
    if all(other.get(label) == text for other in others)
  }
  part = {
    'title': group.title,
    'protocol': protocol_name(group.protocol),
    'tables': part_tables(group),
    'paired': [paired_table(found, group.protocol) for found in group.paired],
    'pictures': drawn,
    'facts': facts,  # those that hold for all
  }
  return part, drawn


def compare(
  paths: Sequence[files.PathLike],
  output: files.PathLike,
  *,
  names: Sequence[str] = (),
  command: str | None = None,
) -> dict[str, Any]:
  """Compares reports and writes a page about them.

  The first report of a protocol is the one that paired tests compare the
  others with.

  Args:
    paths: folders that `Report.write` wrote, two or more.
    output: the folder: results.json, report.html and the figures.
    names: of the models, one a report; empty: from the reports.
    command: the command line, for the page.

  Returns:
    JSON values: `reports`, `protocols` with their rows and paired tests,
    `warnings`, `output`, `figures`, `date`.

  Raises:
    DataError: a report cannot be read.
    UsageError: the reports cannot be compared, or something other than a
      report stands at `output`.
  """
  overwrite = report.is_report(output)
  files.check_new_directory(output, overwrite=overwrite)
  named = named_reports.read_named(paths, names)
  groups = comparison.make_groups(named)
  notes = comparison.warnings(groups)
  for note in notes:
    files.note(note)
  parts, drawn = [], []
  for group in groups:
    part, found = _part(group)
    parts.append(part)
    drawn += found
  models = list(dict.fromkeys(each.name for each in named))
  result = {
    'models': models,
    'reports': [each.path for each in named],
    'protocols': comparison.to_json(groups),
    'warnings': notes,
    'output': str(output),
    'figures': sorted(picture.file_name for picture in drawn),
    'date': report.now(),
  }
  html = templating.fill(
    'comparison.html',
    title=f'{len(models)} models' if len(models) > 1 else models[0],
    warnings=notes,
    joined=joined_table(groups),
    parts_of=parts,
    sources={each.path: each.name for each in named},
    command=command,
    date=result['date'],
    json=templating.to_json_text(result),
  )
  contents = {picture.file_name: picture.data for picture in drawn}
  report.write_folder(output, result, contents | {report.PAGE: html})
  return result
