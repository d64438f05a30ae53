"""A picture of all rounds: losses and the held-out metric over their steps."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facejax import files
from facejax.evaluation.reporting.canvas import (
  add_legend,
  clean,
  line_style,
  render,
  set_title,
)
from facejax.files import PathLike
from facejax.training.rounds import RoundRecord

Row = Mapping[str, Any]

_SIZE = (8, 6)  # inches
_RESTART = {'color': '0.6', 'linewidth': 1.0, 'linestyle': ':'}


def _draw(
  axes: Axes,
  rows: Sequence[Sequence[Row]],
  starts: Sequence[int],
  name: str,
  **style: Any,
) -> Any:
  """A metric over the steps of all rounds, a line for each; the first line."""
  lines = []
  for start, rows_of_round in zip(starts, rows, strict=False):
    found = [row for row in rows_of_round if row.get(name) is not None]
    steps = [start + row['step'] for row in found]
    lines += axes.plot(steps, [row[name] for row in found], **style)
  return lines[0]


def _mark(
  panels: Sequence[Axes],
  records: Sequence[RoundRecord],
  starts: Sequence[int],
) -> None:
  """Lines where rounds begin, with their rates; dots where each is best."""
  top, bottom = panels
  for record, start in zip(records, starts, strict=False):
    for axes in panels:
      if start:
        axes.axvline(start, **_RESTART)
    top.annotate(
      f' {record.round}: {record.learning_rate:.2g}',
      (start, 1.0),
      xycoords=('data', 'axes fraction'),
      va='top',
      fontsize=8,
      color='0.35',
    )
    bottom.plot(start + record.best_step, record.metric, 'ko', markersize=5)


def rounds_figure(
  records: Sequence[RoundRecord],
  rows: Sequence[Sequence[Row]],
  *,
  held_out_loss: str,
  metric: str,
) -> Figure:
  """Training and held-out loss above, the metric below.

  Args:
    records: of the rounds, one or more.
    rows: metrics of each round.
    held_out_loss: its name in the rows.
    metric: its name in the rows.
  """
  figure = Figure(figsize=_SIZE, layout='constrained')
  top, bottom = figure.subplots(2, 1, sharex=True)
  held_out = top.twinx()  # losses of two kinds have two scales
  starts = [0, *itertools.accumulate(record.steps for record in records)]
  lines = [
    _draw(top, rows, starts, 'loss', **line_style(0) | {'linewidth': 1.0}),
    _draw(held_out, rows, starts, held_out_loss, **line_style(1)),
    _draw(bottom, rows, starts, metric, marker='.', **line_style(2)),
  ]
  _mark((top, bottom), records, starts)
  for axes in (top, bottom):
    clean(axes)
  held_out.spines[['top']].set_visible(False)
  set_title(top, 'Rounds, each with its highest learning rate')
  top.set_ylabel('training loss')
  held_out.set_ylabel('held-out loss')
  bottom.set_ylabel(metric.rpartition('/')[2])
  bottom.set_xlabel('step, of all rounds')
  labels = ['training loss', held_out_loss, f'{metric}; dots: best of a round']
  add_legend(figure, lines, labels)
  return figure


def write_picture(
  path: PathLike,
  records: Sequence[RoundRecord],
  rows: Sequence[Sequence[Row]],
  *,
  held_out_loss: str,
  metric: str,
) -> None:
  """Writes `rounds_figure` as a PNG file, all of it or none."""
  figure = rounds_figure(
    records, rows, held_out_loss=held_out_loss, metric=metric
  )
  files.write_bytes(path, render(figure))
