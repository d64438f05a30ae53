r"""Compares models by the reports that launch.evaluate wrote.

Two models on LFW, each evaluated before with the same --protocol and --mode:

  python -m launch.compare --reports=out/a/lfw,out/b/lfw \
    --output=out/comparison

Reports of several protocols may be mixed: each protocol gets a table and
figures, and a table above them joins the rates of a model, so that lfw_all
stands beside the accuracy of ten folds:

  python -m launch.compare --names=a,b,a,b --output=out/comparison \
    --reports=out/a/lfw,out/b/lfw,out/a/lfw_all,out/b/lfw_all

Where the reports hold what it takes, the models are compared pair by pair:
the first report of a protocol with each of the others. Reports of one protocol
on different image sets are refused; different modes are allowed, with a
warning on the page.

Writes below --output: report.html (one file with everything in it), the
figures, and results.json, which is the JSON object on the last line.
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_OUTPUT = shared_flags.output()
_REPORTS = flags.DEFINE_list(
  'reports', [], 'Folders that launch.evaluate wrote, two or more.'
)
_NAMES = flags.DEFINE_list(
  'names', [], 'What to call the models, one a report; else their folders.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Compares by the flags; returns the result."""
  from facejax.errors import UsageError
  from facejax.evaluation.reporting import comparison_page

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _REPORTS.value:
    raise UsageError('--reports: give the folders of two reports or more')
  if _OUTPUT.value is None:
    raise UsageError('--output is missing: say where the page goes')
  return comparison_page.compare(
    _REPORTS.value,
    _OUTPUT.value,
    names=_NAMES.value,
    command=shlex.join(['python', '-m', 'launch.compare', *sys.argv[1:]]),
  )


if __name__ == '__main__':
  run.run(main)
