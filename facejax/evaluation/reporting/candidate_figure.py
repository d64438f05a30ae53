"""The figure of two-stage search: what is found over the candidates."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from facejax.evaluation.reporting import canvas
from facejax.evaluation.reporting.curves import CandidateCurve


def candidate_figure(
  curves: Mapping[str, CandidateCurve], *, title: str
) -> Figure:
  """Recall of the first stage and Rank-1 of both, over a logarithmic axis.

  Broken lines are recall, full ones Rank-1; thin level lines are float search
  among the whole gallery, which every full line meets at its right end. Dots
  are the smallest numbers of candidates that reach 99.9 % of it.

  Args:
    curves: by the name in the legend, at least one.
    title: stands above.
  """
  figure, axes = canvas.make_axes(title, lines=2 * len(curves))
  lines, names, lowest, most = [], [], 1.0, 1
  for number, (name, curve) in enumerate(curves.items()):
    color = canvas.COLORS[number % len(canvas.COLORS)]
    short = canvas.short_name(name)
    for shares, dashes, what in (
      (curve.rank1, '-', f'both stages, 99.9 % from {curve.smallest:,}'),
      (curve.recall, '--', 'recall of stage 1'),
    ):
      lines += axes.plot(
        curve.candidates,
        shares,
        color=color,
        linestyle=dashes,
        linewidth=1.8 if dashes == '-' else 1.2,
      )
      names.append(f'{short}: {what}')
      lowest = min(lowest, float(shares[0]))
    axes.axhline(curve.float_rank1, color=color, linewidth=0.8, alpha=0.6)
    at = int(curve.candidates.searchsorted(curve.smallest))
    axes.plot(curve.smallest, curve.rank1[at], 'o', color=color, markersize=6)
    most = max(most, int(curve.candidates[-1]))
  height = max(1 - lowest, 0.005)
  axes.set_xscale('log')
  axes.set_xlim(1, max(most, 2))
  axes.set_ylim(max(0, lowest - 0.1 * height), 1 + 0.1 * height)
  axes.yaxis.set_major_formatter(canvas.ShareFormatter())
  axes.set_xlabel(f'candidates c that stage 1 hands on, of {most:,}')
  axes.set_ylabel('probes')
  canvas.add_legend(figure, lines, names)
  return figure
