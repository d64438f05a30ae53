"""Pictures to judge suspicions by: score histograms and pairs of faces."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from facejax import files
from facejax.array_typing import UInt8
from facejax.data.contact_sheet import contact_sheet
from facejax.data.images import encode_png
from facejax.evaluation.reporting.canvas import render
from facejax.files import Path
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.near_duplicates import Duplicates
from facejax.preparation.outliers import Outliers
from facejax.preparation.suspicion_lists import closest_images
from facejax.preparation.suspicions import Pairs

_COLORS = ('#0072B2', '#D55E00', '#009E73')  # Okabe and Ito's
_MARGIN = 8  # pixels between two groups of faces
_GROUPS = 48  # on a sheet
_WIDTH = 1200  # of a sheet, pixels


def scores_figure(
  scores: Mapping[str, np.ndarray], threshold: float, *, title: str
) -> Figure:
  """Shares of several kinds of standard scores, and a threshold.

  Args:
    scores: finite values by the name in the legend, none empty.
    threshold: a standard score; an infinite one is not drawn.
    title: stands above.
  """
  figure = Figure(figsize=(7, 5), layout='constrained')
  axes = figure.add_subplot()
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(True, color='0.9', linewidth=0.8)
  axes.set_axisbelow(True)
  axes.set_title(title, loc='left', fontsize=11)
  low = min(values.min() for values in scores.values())
  high = max(values.max() for values in scores.values())
  edges = np.linspace(low, max(high, low + 1e-6), 81)
  for color, (name, values) in zip(_COLORS, scores.items(), strict=False):
    axes.hist(
      values,
      edges,
      weights=np.full(len(values), 1 / len(values)),
      color=color,
      alpha=0.6,
      label=f'{name} ({len(values):,})',
    )
  if np.isfinite(threshold):
    axes.axvline(
      threshold,
      color='0.15',
      linestyle='--',
      linewidth=1.4,
      label=f'threshold {threshold:.2f}',
    )
  axes.yaxis.set_major_formatter(PercentFormatter(1))
  axes.set_xlabel('standard score: deviations above the mean of strangers')
  axes.set_ylabel('share of the scores of a kind')
  figure.legend(loc='outside lower center', ncols=2, frameon=False, fontsize=9)
  return figure


def write_figure(path: Path, figure: Figure) -> None:
  """Writes a figure as a PNG file."""
  files.write_bytes(path, render(figure))


def group_sheet(
  groups: Sequence[Sequence[UInt8[np.ndarray, 'h w 3']]],
) -> UInt8[np.ndarray, 'H W 3']:
  """Lays groups of faces out in rows, white between two groups.

  Args:
    groups: of the same number of images each, which may differ in size.
  """
  height = max(image.shape[0] for group in groups for image in group)
  width = max(image.shape[1] for group in groups for image in group)

  def join(group: Sequence[np.ndarray]) -> np.ndarray:
    tile = np.zeros((height, width * len(group), 3), np.uint8)
    for place, image in enumerate(group):
      left = width * place
      tile[: image.shape[0], left : left + image.shape[1]] = image
    space = (0, _MARGIN), (0, _MARGIN), (0, 0)
    return np.pad(tile, space, constant_values=255)

  tiles = np.stack([join(group) for group in groups])
  columns = max(1, _WIDTH // tiles.shape[2])
  return contact_sheet(tiles, min(columns, len(tiles)))


def _write_sheet(path: Path, groups: Sequence[Sequence[np.ndarray]]) -> None:
  """Writes a sheet of groups of faces, if there are any."""
  if groups:
    files.write_bytes(path, encode_png(group_sheet(groups)))


def _typical(faces: EmbeddedFaces, label: int) -> int:
  """The image of an identity that is nearest to its centroid."""
  members = faces.members(label)
  rows = faces.rows(members)
  return members.start + int((rows @ rows.sum(0)).argmax())


def draw_near_duplicates(
  path: Path, faces: EmbeddedFaces, found: Duplicates
) -> None:
  """Pairs of near-duplicates, the least alike, which are the doubtful ones."""
  pairs = np.stack([found.kept, found.dropped], 1)[::-1][:_GROUPS]
  groups = [faces.images(pair) for pair in pairs]
  _write_sheet(path, [group for group in groups if group])


def draw_outliers(path: Path, faces: EmbeddedFaces, found: Outliers) -> None:
  """Triples: the image, its identity, and the one that it resembles most."""
  groups = []
  for place, other in zip(
    found.places[:_GROUPS], found.other[:_GROUPS], strict=True
  ):
    label = int(faces.labels[place])
    typical = _typical(faces, label)
    likely = _typical(faces, int(other)) if other >= 0 else typical
    images = faces.images([int(place), typical, likely])
    if images:
      last = images[2] if other >= 0 else np.zeros_like(images[2])
      groups.append([*images[:2], last])
  _write_sheet(path, groups)


def draw_pairs(
  path: Path, faces: EmbeddedFaces, other: EmbeddedFaces, pairs: Pairs
) -> None:
  """The two images of either identity that are most alike, pair by pair."""
  groups = []
  for a, b in zip(pairs.first[:_GROUPS], pairs.second[:_GROUPS], strict=True):
    one, two, _ = closest_images(faces, int(a), other, int(b))
    images = faces.images([one]), other.images([two])
    if all(images):
      groups.append([images[0][0], images[1][0]])
  _write_sheet(path, groups)


def draw_strays(
  path: Path, faces: EmbeddedFaces, test: EmbeddedFaces, strays: Pairs
) -> None:
  """Triples: the stray image, the test identity, and its own identity."""
  groups = []
  for place, other in zip(
    strays.first[:_GROUPS], strays.second[:_GROUPS], strict=True
  ):
    typical = _typical(faces, int(faces.labels[place]))
    images = faces.images([int(place), typical])
    likely = test.images([_typical(test, int(other))])
    if images and likely:
      groups.append([images[0], likely[0], images[1]])
  _write_sheet(path, groups)
