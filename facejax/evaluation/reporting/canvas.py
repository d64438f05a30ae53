"""What all figures share: size, colours, axes, legend, and the PNG file."""

import io
import os
import warnings
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Okabe and Ito's colours, which colour-blind readers can tell apart. Lines
# differ by their dashes too, for those who print.
COLORS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
)
DASHES = ('-', (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))
SIZE = (7, 5)  # inches
_FREE_LINES, _LINE_HEIGHT = 4, 0.19  # of a legend, inches
_MAX_NAME = 48
_MAX_TITLE = 76


def short_name(name: str, limit: int = _MAX_NAME) -> str:
  """A name that fits: the middle of a long one becomes an ellipsis.

  Both ends of a path tell models apart. Bytes that are no text, as names of
  files may hold, become question marks.
  """
  name = ' '.join(os.fsencode(name).decode(errors='replace').split())
  if len(name) <= limit:
    return name
  head = (limit - 1) // 3
  return f'{name[:head]}…{name[head + 1 - limit :]}'


def line_style(number: int) -> dict[str, object]:
  """Colour, dashes and width of a line of a figure.

  Args:
    number: of the line, from 0; the 29th is as the first.
  """
  turn, color = divmod(number, len(COLORS))
  dashes = DASHES[(number + turn) % len(DASHES)]
  return {'color': COLORS[color], 'linestyle': dashes, 'linewidth': 1.8}


class ShareFormatter(PercentFormatter):
  """Shares of 1 as percent; room above 100 % has no numbers."""

  def __init__(self):
    super().__init__(1)

  def __call__(self, x: float, pos: int | None = None) -> str:
    """The text of a tick."""
    return '' if x > 1 + 1e-9 else super().__call__(x, pos)


def clean(axes: Axes) -> None:
  """Takes the upper and right lines of a frame away and draws a light grid."""
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(True, which='major', color='0.9', linewidth=0.8)
  axes.set_axisbelow(True)


def set_title(axes: Axes, title: str) -> None:
  """A title on the left, whatever characters it has."""
  text = short_name(title, _MAX_TITLE)
  axes.set_title(text, loc='left', fontsize=11, parse_math=False)


def make_axes(title: str, *, lines: int = 1) -> tuple[Figure, Axes]:
  """An empty figure with one plot.

  Args:
    title: stands above.
    lines: of the legend; a long one makes the figure taller.
  """
  width, height = SIZE
  height += _LINE_HEIGHT * max(0, lines - _FREE_LINES)
  figure = Figure(figsize=(width, height), layout='constrained')
  axes = figure.add_subplot()
  clean(axes)
  set_title(axes, title)
  return figure, axes


def add_legend(
  figure: Figure,
  handles: Sequence[Artist],
  labels: Sequence[str],
  *,
  columns: int = 1,
) -> None:
  """A legend below the plots, where it covers nothing.

  Args:
    figure: with a constrained layout, which makes room.
    handles: what is drawn, one a label.
    labels: shown as they are.
    columns: of the legend.
  """
  # A label that begins with an underscore would be left out.
  shown = ['\N{ZERO WIDTH SPACE}' + text for text in labels]
  legend = figure.legend(
    handles,
    shown,
    loc='outside lower center',
    ncols=columns,
    frameon=False,
    fontsize=9,
    handlelength=3 if columns == 1 else 1.8,
    columnspacing=1.4,
  )
  for text, label in zip(legend.get_texts(), labels, strict=True):
    text.set_parse_math(False)
    text.set_text(label)


def render(figure: Figure) -> bytes:
  """A figure as a PNG file, 150 dots an inch."""
  buffer = io.BytesIO()
  with warnings.catch_warnings():
    # Names of people and models come in all scripts, the font in a few.
    warnings.filterwarnings('ignore', message='Glyph .* missing from')
    figure.savefig(buffer, format='png', dpi=150)
  return buffer.getvalue()
