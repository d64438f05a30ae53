"""Figures of scores and of results under damage."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facejax.array_typing import Float, Int
from facejax.evaluation.reporting import canvas
from facejax.evaluation.reporting.curves import Degradation, ScoreHistogram

_BARS = 100
_GENUINE, _IMPOSTOR = canvas.COLORS[0], canvas.COLORS[1]
_PANEL = (3.1, 2.7)  # inches
_PANELS_A_ROW = 3


def _bars(
  histogram: ScoreHistogram,
) -> tuple[Float[np.ndarray, ' E'], dict[str, Int[np.ndarray, ' B']]]:
  """Edges and counts of about a hundred bars over the bins in use.

  Bins are put together, never divided, so the counts stay exact.
  """
  used = np.flatnonzero(histogram.genuine + histogram.impostor)
  first, last = (used[0], used[-1] + 1) if len(used) else (0, 1)
  step = max(1, -(-(last - first) // _BARS))
  starts = np.arange(first, last, step)
  edges = histogram.edges[np.append(starts, last)]
  counts = {
    'impostor': np.add.reduceat(histogram.impostor[:last], starts),
    'genuine': np.add.reduceat(histogram.genuine[:last], starts),
  }
  return edges, counts


def _draw_kind(
  panels: tuple[Axes, Axes],
  edges: Float[np.ndarray, ' E'],
  counts: Int[np.ndarray, ' B'],
  *,
  color: str,
) -> tuple[object, float]:
  """Bars of one kind of pairs; their legend's handle, the least share."""
  total = int(counts.sum())
  shares = counts / max(total, 1)
  for axes in panels:
    handle = axes.stairs(shares, edges, fill=True, color=color, alpha=0.4)
    axes.stairs(shares, edges, color=color, linewidth=1.2)
  return handle, 1 / max(total, 1)


def _threshold_label(histogram: ScoreHistogram) -> str:
  """The threshold, which one it is, and on which side pairs are the same."""
  side = 'below' if histogram.measure == 'squared_distance' else 'above'
  note = histogram.threshold_note and f' ({histogram.threshold_note})'
  return f'threshold {histogram.threshold:.3f}{note}, same {side}'


def histogram_figure(histogram: ScoreHistogram, *, title: str) -> Figure:
  """Scores of genuine and impostor pairs, with the threshold.

  Each kind sums to 100 %, however many pairs it has. The lower panel has a
  logarithmic axis: there the tails that decide about errors can be seen, down
  to single pairs.

  Args:
    histogram: counts by bins.
    title: stands above.
  """
  figure = Figure(figsize=canvas.SIZE, layout='constrained')
  panels = tuple(figure.subplots(2, 1, sharex=True, height_ratios=(3, 2)))
  edges, counts = _bars(histogram)
  handles, labels, least = [], [], 1.0
  for kind, color in (('impostor', _IMPOSTOR), ('genuine', _GENUINE)):
    handle, one = _draw_kind(panels, edges, counts[kind], color=color)
    handles.append(handle)
    labels.append(f'{kind}, {int(counts[kind].sum()):,} scores')
    least = min(least, one)
  if histogram.threshold is not None:
    for axes in panels:
      line = axes.axvline(
        histogram.threshold, color='0.15', linestyle='--', linewidth=1.4
      )
    handles.append(line)
    labels.append(_threshold_label(histogram))
  for axes in panels:
    canvas.clean(axes)
    axes.yaxis.set_major_formatter(canvas.ShareFormatter())
  canvas.set_title(panels[0], title)
  panels[0].set_ylim(bottom=0)
  panels[1].set_ylim(0.6 * least, 1)  # first, for counts of zero have no log
  panels[1].set_yscale('log')
  panels[1].yaxis.set_major_formatter(lambda share, _: f'{100 * share:g}%')
  panels[1].set_xlabel(histogram.measure.replace('_', ' '))
  figure.supylabel('share of the scores of a kind', fontsize=10)
  canvas.add_legend(figure, handles, labels, columns=2)
  return figure


def _lines(
  models: Mapping[str, Iterable[Degradation]],
) -> dict[tuple[str, str], dict[str, Degradation]]:
  """Degradations by (model, what the values are), then by their own name."""
  lines: dict[tuple[str, str], dict[str, Degradation]] = {}
  for model, degradations in models.items():
    for each in degradations:
      lines.setdefault((model, each.result), {})[each.name] = each
  return lines


def _line_labels(keys: Iterable[tuple[str, str]]) -> list[str]:
  """What tells lines apart: the model, the result, or both."""
  keys = [(canvas.short_name(model), result) for model, result in keys]
  several = [len({key[part] for key in keys}) > 1 for part in (0, 1)]
  if not any(several):
    several = [False, True]
  return [
    ', '.join(text for text, shown in zip(key, several, strict=True) if shown)
    for key in keys
  ]


def _draw_degradation(
  axes: Axes, each: Degradation, style: dict[str, object]
) -> object:
  """A line over the levels, and a thin one where nothing is damaged."""
  axes.axhline(each.untouched, color=style['color'], alpha=0.5, linewidth=0.9)
  (line,) = axes.plot(each.levels, each.values, marker='o', ms=4, **style)
  axes.set_xlabel(each.unit, fontsize=9, parse_math=False)
  return line


def degradation_figure(
  models: Mapping[str, Iterable[Degradation]], *, title: str
) -> Figure:
  """A small panel for every kind of damage, all with one scale.

  The thin line is the result without damage.

  Args:
    models: degradations by the name in the legend; one model may have ''.
    title: stands above.
  """
  lines = _lines(models)
  names = list(dict.fromkeys(n for found in lines.values() for n in found))
  columns = min(_PANELS_A_ROW, len(names))
  rows = -(-len(names) // columns)
  size = max(_PANEL[0] * columns, canvas.SIZE[0]), _PANEL[1] * rows + 0.7
  figure = Figure(figsize=size, layout='constrained')
  grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
  panels = dict(zip(names, grid.flat, strict=False))
  handles = []
  for number, found in enumerate(lines.values()):
    style = canvas.line_style(number)
    for name, each in found.items():
      handle = _draw_degradation(panels[name], each, style)
    handles.append(handle)
  for name, axes in panels.items():
    canvas.clean(axes)
    axes.set_title(canvas.short_name(name), fontsize=10, parse_math=False)
    axes.yaxis.set_major_formatter(canvas.ShareFormatter())
  for axes in grid.flat[len(names) :]:
    axes.set_axis_off()
  figure.suptitle(
    canvas.short_name(title, 76), x=0.01, ha='left', fontsize=11,
    parse_math=False,
  )  # fmt: skip
  canvas.add_legend(figure, handles, _line_labels(lines))
  return figure
