"""Pictures of verification results: ROC curves and score histograms."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from facejax.array_typing import Bool, Float
from facejax.evaluation import metrics
from facejax.evaluation.verification import Verification

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLORS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
)
_IMPOSTOR, _GENUINE = _COLORS[1], _COLORS[0]


def render(figure: Figure) -> bytes:
  """A figure as a PNG file, 150 dots an inch."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=150)
  return buffer.getvalue()


def _axes(title: str) -> tuple[Figure, Axes]:
  """An empty plot without the upper and right lines of its frame."""
  figure = Figure(figsize=(7, 5), layout='constrained')
  axes = figure.add_subplot()
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(True, which='major', color='0.9', linewidth=0.8)
  axes.set_axisbelow(True)
  axes.set_title(title, loc='left', fontsize=11)
  return figure, axes


def roc_figure(results: Mapping[str, Verification], *, title: str) -> Figure:
  """ROC curves over a logarithmic false-accept rate.

  The axis starts at the smallest rate that the set can resolve, one impostor
  pair; dots mark the operating points that the report lists.

  Args:
    results: verification results by the name in the legend.
    title: stands above.
  """
  figure, axes = _axes(title)
  left, bottom = 1.0, 1.0
  for number, (name, result) in enumerate(results.items()):
    color = _COLORS[number % len(_COLORS)]
    curve = metrics.roc(result.scores, result.same)
    smallest = 1 / int((~result.same).sum())
    left = min(left, smallest)
    # On the axis stands the last point that accepts one impostor at most.
    first = int(np.searchsorted(curve.far, smallest, side='right')) - 1
    far = np.maximum(curve.far[first:], smallest)
    bottom = min(bottom, curve.tar[first])
    axes.step(
      far,
      curve.tar[first:],
      where='post',
      color=color,
      linewidth=1.8,
      label=f'{name}: accuracy {result.accuracy:.2%}, EER {result.eer:.2%}',
    )
    for wanted, point in result.points.items():
      axes.plot(
        wanted, point.tar, 'o', color=color, markersize=6, clip_on=False
      )
      if len(results) == 1:
        axes.annotate(
          f'{point.tar:.2%}',
          (wanted, point.tar),
          xytext=(4, 8),
          textcoords='offset points',
          ha='right' if wanted > 2 * left else 'left',
          fontsize=9,
          color=color,
        )
  axes.set_xscale('log')
  axes.set_xlim(left, 1)
  height = max(1 - bottom, 0.01)
  axes.set_ylim(max(0, bottom - 0.12 * height), 1 + 0.08 * height)
  axes.yaxis.set_major_formatter(PercentFormatter(1))
  axes.set_xlabel('false-accept rate')
  axes.set_ylabel('true-accept rate')
  figure.legend(loc='outside lower center', frameon=False, fontsize=9)
  return figure


def _bars(
  axes: Axes, values: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']
) -> None:
  """Shares of genuine and impostor pairs over common bins."""
  edges = np.histogram_bin_edges(values, bins=60)
  for kind, part, color in (
    ('impostor', values[~same], _IMPOSTOR),
    ('genuine', values[same], _GENUINE),
  ):
    counts, _ = np.histogram(part, edges)
    axes.stairs(
      counts / len(part),
      edges,
      fill=True,
      color=color,
      alpha=0.45,
      label=f'{kind}, {len(part):,} pairs',
    )
    axes.stairs(counts / len(part), edges, color=color, linewidth=1.2)


def histogram_figure(result: Verification, *, title: str) -> Figure:
  """Scores of genuine and impostor pairs, with the threshold between them.

  Args:
    result: the line stands at the mean of its folds' thresholds.
    title: stands above.
  """
  figure, axes = _axes(title)
  _bars(axes, result.measured(result.scores), result.same)
  threshold = float(result.measured(result.fold_thresholds.mean()))
  side = 'below' if result.measure == 'squared_distance' else 'above'
  axes.axvline(
    threshold,
    color='0.15',
    linestyle='--',
    linewidth=1.4,
    label=f'threshold {threshold:.3f}, the same {side} it',
  )
  axes.set_ylim(bottom=0)
  axes.yaxis.set_major_formatter(PercentFormatter(1))
  axes.set_xlabel(result.measure.replace('_', ' '))
  axes.set_ylabel('share of the pairs of a kind')
  figure.legend(loc='outside lower center', ncols=3, frameon=False, fontsize=9)
  return figure
