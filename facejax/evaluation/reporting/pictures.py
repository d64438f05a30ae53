"""All pictures of a report, from its curves to PNG files."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from facejax.evaluation.reporting import (
  candidate_figure,
  canvas,
  figures,
  score_figures,
)
from facejax.evaluation.reporting.curves import Curves


@dataclasses.dataclass(frozen=True)
class Picture:
  """A figure of a report.

  Attributes:
    file_name: 'roc.png'.
    data: the PNG file.
    alt: what it shows, for those who do not see it.
    caption: how to read it.
  """

  file_name: str
  data: bytes
  alt: str
  caption: str


DEGRADATION = 'degradation.png'  # results under damage
_LINES = {
  'roc': (
    figures.roc_figure,
    'ROC curve',
    'True-accept rate over the false-accept rate; higher is better. The axis '
    'begins at one impostor pair; dots are the operating points of the table.',
  ),
  'det': (
    figures.det_figure,
    'DET curve',
    'Genuine pairs rejected over impostor pairs accepted; lower is better. On '
    'the thin diagonal both errors are equal.',
  ),
  'cmc': (
    figures.cmc_figure,
    'CMC curve',
    'Share of the probes whose mate is among the first matches; higher is '
    'better.',
  ),
  'dir': (
    figures.dir_figure,
    'DIR curve',
    'Probes of known people found at rank 1 and accepted, over the share of '
    'strangers accepted; higher is better.',
  ),
  'candidates': (
    candidate_figure.candidate_figure,
    'Two-stage search over candidates',
    'Over the candidates that the codes hand on: the share of probes whose '
    'mate is among them (broken lines), and the share that both stages find; '
    'the thin line is float search among everybody. A dot is the smallest '
    'number that reaches 99.9 % of it.',
  ),
}
_HISTOGRAM = (
  'Scores of genuine pairs and of impostors, each kind summing to 100 %; the '
  'lower panel has a logarithmic axis, which shows the tails.'
)
_DEGRADATION_CAPTION = (
  'The result as the probe images get worse; the thin line is the result '
  'without damage.'
)


def _overlaid(
  models: Mapping[str, Curves], kind: str
) -> dict[str, dict[str, Any]]:
  """Figures of a kind by name, each with its curves by what a legend says.

  Where all models have the same several curves, such as one a mode, each of
  these is a figure of its own, which compares like with like.
  """
  found = {name: getattr(curves, kind) for name, curves in models.items()}
  found = {name: lines for name, lines in found.items() if lines}
  if not found:
    return {}
  first, *others = (list(lines) for lines in found.values())
  if others and len(first) > 1 and all(first == other for other in others):
    return {
      key: {name: lines[key] for name, lines in found.items()} for key in first
    }
  together = {}
  for model, lines in found.items():
    for key, curve in lines.items():
      parts = (model, key) if model and len(lines) > 1 else (model or key,)
      together[', '.join(parts)] = curve
  return {'': together}


def _file_part(name: str) -> str:
  """A name as a part of a file name."""
  return re.sub(r'[^0-9A-Za-z.-]+', '_', name)[:60]


def _file_names(curves: Curves) -> dict[str, str]:
  """File names of the histograms, no two alike, by their name."""
  if len(curves.histogram) == 1:
    return dict.fromkeys(curves.histogram, 'histogram.png')
  names: dict[str, str] = {}
  for name in curves.histogram:
    stem = f'histogram_{_file_part(name)}'
    taken = {*names.values()}
    number = sum(other.startswith(stem) for other in taken)
    file_name = f'{stem}.png'
    while file_name in taken:
      number += 1
      file_name = f'{stem}_{number}.png'
    names[name] = file_name
  return names


def _drawn(
  models: Mapping[str, Curves], title: str
) -> Iterator[tuple[str, Figure, str, str]]:
  """File name, figure, alternative text and caption of every picture."""
  for kind, (draw, what, caption) in _LINES.items():
    overlaid = _overlaid(models, 'roc' if kind == 'det' else kind)
    for name, lines in overlaid.items():
      above = f'{title}, {name}' if name else title
      file_name = f'{kind}_{_file_part(name)}.png' if name else f'{kind}.png'
      alt = f'{what} of {", ".join(lines)}; {above}'
      yield file_name, draw(lines, title=above), alt, caption
  damaged = {
    name: curves.degradation.values()
    for name, curves in models.items()
    if curves.degradation
  }
  if damaged:
    figure = score_figures.degradation_figure(damaged, title=title)
    alt = f'Results under damage to the probe images; {title}'
    yield DEGRADATION, figure, alt, _DEGRADATION_CAPTION


def _histograms(
  curves: Curves, title: str
) -> Iterator[tuple[str, Figure, str, str]]:
  """The same of the histograms."""
  file_names = _file_names(curves)
  for name, histogram in curves.histogram.items():
    above = title if len(file_names) == 1 else f'{title}, {name}'
    figure = score_figures.histogram_figure(histogram, title=above)
    alt = f'Histogram of scores of {name}; {title}'
    yield file_names[name], figure, alt, _HISTOGRAM


def draw(curves: Curves, *, title: str) -> list[Picture]:
  """Draws everything that curves hold.

  Args:
    curves: what was found; empty mappings give no picture.
    title: stands above every picture.

  Returns:
    roc.png, det.png, cmc.png, dir.png, candidates.png, degradation.png and
    histogram.png (with several, histogram_NAME.png), those that exist.
  """
  drawn = *_drawn({'': curves}, title), *_histograms(curves, title)
  return [
    Picture(file_name, canvas.render(figure), alt, caption)
    for file_name, figure, alt, caption in drawn
  ]


def draw_together(
  models: Mapping[str, Curves], *, title: str, prefix: str
) -> list[Picture]:
  """Draws the curves of several models over each other.

  Args:
    models: curves by the name in the legend. Histograms are left out: over
      each other they could not be read.
    title: stands above every picture.
    prefix: of the file names.
  """
  return [
    Picture(prefix + file_name, canvas.render(figure), alt, caption)
    for file_name, figure, alt, caption in _drawn(models, title)
  ]
