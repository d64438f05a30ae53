"""Figures of rates: ROC, DET, CMC, and DIR over the false-alarm rate."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
  FixedLocator,
  FuncFormatter,
  MaxNLocator,
  NullLocator,
)
from scipy import special

from facejax.array_typing import Float
from facejax.evaluation.reporting import canvas
from facejax.evaluation.reporting.curves import DirCurve, RocCurve
from facejax.evaluation.reporting.thinning import thin_dir, thin_roc

# Labels stand this share of the axis from each other, or one is left out.
_LABEL_SPACE = 0.1
_DET_TICKS = (*(10.0**-n for n in range(8, 1, -1)), 0.05, 0.2, 0.4)
_DET_LARGEST = 0.6


def _label(name: str, note: str) -> str:
  """A line of a legend."""
  name = canvas.short_name(name)
  return f'{name}: {note}' if note else name


def _from_resolution(
  far: Float[np.ndarray, ' T'],
  rate: Float[np.ndarray, ' T'],
  smallest: float,
) -> tuple[Float[np.ndarray, ' t'], Float[np.ndarray, ' t']]:
  """A curve over a logarithmic axis that begins at the smallest rate.

  On that edge stands the last point that accepts one impostor at most.
  """
  room = smallest * (1 + 1e-9)
  first = max(int(np.searchsorted(far, room, side='right')) - 1, 0)
  return np.maximum(far[first:], smallest), rate[first:]


def _frame(axes: Axes, left: float, bottom: float) -> None:
  """Limits and ticks of a share over a logarithmic rate."""
  axes.set_xscale('log')
  axes.set_xlim(left if left < 1 else 0.1, 1)
  height = max(1 - bottom, 0.005)
  axes.set_ylim(max(0, bottom - 0.1 * height), 1 + 0.1 * height)
  axes.yaxis.set_major_formatter(canvas.ShareFormatter())


def _mark_points(axes: Axes, curve: RocCurve, *, color: str) -> None:
  """Dots on the operating points."""
  for far, point in curve.points.items():
    axes.plot(far, point.tar, 'o', color=color, markersize=6, clip_on=False)


def _label_points(axes: Axes, curve: RocCurve, left: float) -> None:
  """The rates of the operating points, none over another.

  Up and to the left of a curve that rises is nothing else.
  """
  last = -np.inf
  for far, point in sorted(curve.points.items()):
    place = 1 - np.log(far) / np.log(left) if left < 1 else 0.0
    if place - last < _LABEL_SPACE:
      continue
    last = place
    at_edge = place < _LABEL_SPACE
    axes.annotate(
      f'{point.tar:.2%}',
      (far, point.tar),
      xytext=(2 if at_edge else -2, 6),
      textcoords='offset points',
      ha='left' if at_edge else 'right',
      fontsize=9,
      color='0.15',
    )


def roc_figure(curves: Mapping[str, RocCurve], *, title: str) -> Figure:
  """ROC curves over a logarithmic false-accept rate.

  The axis starts at the smallest rate that a set can resolve, one impostor
  pair; dots mark the operating points.

  Args:
    curves: by the name in the legend, at least one.
    title: stands above.
  """
  figure, axes = canvas.make_axes(title, lines=len(curves))
  left, bottom, lines = 1.0, 1.0, []
  for number, curve in enumerate(curves.values()):
    smallest = 1 / curve.num_impostors
    curve = thin_roc(curve)
    far, tar = _from_resolution(curve.far, curve.tar, smallest)
    style = canvas.line_style(number)
    lines += axes.step(far, tar, where='post', **style)
    _mark_points(axes, curve, color=style['color'])
    left, bottom = min(left, smallest), min(bottom, tar[0])
  if len(curves) == 1:
    _label_points(axes, next(iter(curves.values())), left)
  _frame(axes, left, bottom)
  axes.set_xlabel('false-accept rate')
  axes.set_ylabel('true-accept rate')
  labels = [_label(name, curve.note) for name, curve in curves.items()]
  canvas.add_legend(figure, lines, labels)
  return figure


def _power(share: float, _: int) -> str:
  """A tick of false accepts, as those of an ROC: powers of ten."""
  exponent = round(np.log10(share))
  is_power = np.isclose(share, 10.0**exponent)
  return f'$10^{{{exponent}}}$' if is_power else f'{share:g}'


def _percent(share: float, _: int) -> str:
  """A tick of false rejects: 1e-05 is '0.001%'."""
  return f'{100 * share:.6f}'.rstrip('0').rstrip('.') + '%'


def _deviate_axis(axes: Axes, name: str, smallest: float) -> None:
  """Makes 'x' or 'y' an axis of normal deviates, from `smallest` to 60 %."""
  inside = [1e-12, 1 - 1e-12]  # the deviates of 0 and 1 are infinite
  set_scale, set_limits = {
    'x': (axes.set_xscale, axes.set_xlim),
    'y': (axes.set_yscale, axes.set_ylim),
  }[name]
  set_scale(
    'function',
    functions=(lambda p: special.ndtri(np.clip(p, *inside)), special.ndtr),
  )
  set_limits(min(smallest, 0.1), _DET_LARGEST)
  axis, tick = {
    'x': (axes.xaxis, _power),
    'y': (axes.yaxis, _percent),
  }[name]
  axis.set_major_locator(FixedLocator(_DET_TICKS))
  axis.set_minor_locator(NullLocator())
  axis.set_major_formatter(FuncFormatter(tick))


def det_figure(curves: Mapping[str, RocCurve], *, title: str) -> Figure:
  """DET curves: the two error rates against each other.

  Both axes are normal deviates, on which normal scores give straight lines,
  and models that an ROC crowds into a corner come apart. On the thin diagonal
  both errors are equal.

  Args:
    curves: by the name in the legend, at least one.
    title: stands above.

  References:
    A. Martin et al., The DET Curve in Assessment of Detection Task
    Performance, 1997.
  """
  figure, axes = canvas.make_axes(title, lines=len(curves))
  smallest = {'x': 1.0, 'y': 1.0}
  lines = []
  for number, curve in enumerate(curves.values()):
    style = canvas.line_style(number)
    curve = thin_roc(curve)
    missed = 1 - curve.tar
    lines += axes.step(curve.far, missed, where='post', **style)
    for wanted, point in curve.points.items():
      axes.plot(wanted, 1 - point.tar, 'o', color=style['color'], markersize=5)
    smallest['x'] = min(smallest['x'], 1 / curve.num_impostors)
    # Below the least that was missed an axis has nothing to show.
    seen = missed[(missed > 0) & (curve.far < _DET_LARGEST)]
    smallest['y'] = min(smallest['y'], 0.7 * seen.min(initial=1.0))
  for name, low in smallest.items():
    _deviate_axis(axes, name, float(low))
  diagonal = np.geomspace(1e-9, _DET_LARGEST, 400)
  axes.plot(diagonal, diagonal, color='0.6', linewidth=0.8, zorder=1)
  axes.set_xlabel('false-accept rate')
  axes.set_ylabel('false-reject rate')
  labels = [_label(name, curve.note) for name, curve in curves.items()]
  canvas.add_legend(figure, lines, labels)
  return figure


def cmc_figure(
  curves: Mapping[str, Float[np.ndarray, ' R']], *, title: str
) -> Figure:
  """CMC curves: shares of probes whose mate is among the first r.

  Args:
    curves: shares at rank 1, 2, ... R, by the name in the legend.
    title: stands above.
  """
  figure, axes = canvas.make_axes(title, lines=len(curves))
  lines, labels, lowest, most = [], [], 1.0, 1
  for number, (name, shares) in enumerate(curves.items()):
    ranks = np.arange(1, len(shares) + 1)
    lines += axes.plot(
      ranks, shares, marker='o', markersize=4, **canvas.line_style(number)
    )
    labels.append(_label(name, f'rank 1 {shares[0]:.2%}'))
    lowest, most = min(lowest, shares[0]), max(most, len(shares))
  height = max(1 - lowest, 0.005)
  axes.set_xlim(0.5, most + 0.5)
  axes.set_ylim(max(0, lowest - 0.1 * height), 1 + 0.1 * height)
  axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
  axes.yaxis.set_major_formatter(canvas.ShareFormatter())
  axes.set_xlabel('rank')
  axes.set_ylabel('probes whose mate is at this rank or before')
  canvas.add_legend(figure, lines, labels)
  return figure


def dir_figure(curves: Mapping[str, DirCurve], *, title: str) -> Figure:
  """Detection and identification rates over a logarithmic false-alarm rate.

  The axis starts at one impostor probe.

  Args:
    curves: by the name in the legend, at least one.
    title: stands above.
  """
  figure, axes = canvas.make_axes(title, lines=len(curves))
  left, bottom, lines = 1.0, 1.0, []
  for number, curve in enumerate(curves.values()):
    smallest = 1 / curve.num_impostors
    curve = thin_dir(curve)
    far, rate = _from_resolution(curve.far, curve.dir, smallest)
    lines += axes.step(far, rate, where='post', **canvas.line_style(number))
    left, bottom = min(left, smallest), min(bottom, rate[0])
  _frame(axes, left, bottom)
  axes.set_xlabel('false-alarm rate: impostor probes that are accepted')
  axes.set_ylabel('probes found at rank 1 and accepted')
  canvas.add_legend(figure, lines, [canvas.short_name(n) for n in curves])
  return figure
