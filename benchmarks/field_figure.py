"""The picture of receptive fields: a row of panels for every net."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_FIELD_COLORS, _UNIT_COLORS = 'magma', 'viridis'


def field_figure(studies: list[dict[str, Any]]) -> Figure:
  """Fields of three units over the mean face, widths, and kernel energy.

  Args:
    studies: of every net 'title', 'mean_face' uint8 [H, W, 3], 'fields'
      float32 [h, w, H, W], 'radius' float32 [h, w] in pixels and 'energy'
      float32 [h, w].
  """
  figure = Figure(figsize=(15, 3.4 * len(studies)), layout='constrained')
  grid = figure.subplots(len(studies), 5, squeeze=False)
  for row, study in zip(grid, studies, strict=True):
    height, width = study['fields'].shape[:2]
    units = {
      'centre': (height // 2, width // 2),
      'edge': (height // 2, 0),
      'corner': (0, 0),
    }
    for axes, (name, unit) in zip(row, units.items(), strict=False):
      _draw_field(axes, study['mean_face'], study['fields'][unit])
      axes.set_title(f'{name} unit {unit}', fontsize=9)
    row[0].set_ylabel(study['title'])
    _draw_units(figure, row[3], study['radius'])
    row[3].set_title('radius of 90 % of the field, pixels', fontsize=9)
    _draw_units(figure, row[4], study['energy'])
    row[4].set_title('energy of the global kernel, of its mean', fontsize=9)
  return figure


def _draw_field(axes: Axes, face: np.ndarray, field: np.ndarray) -> None:
  """A field over the grey mean face; the line is half its maximum."""
  axes.imshow(face.mean(-1), cmap='gray', vmin=0, vmax=255)
  share = field / field.max()
  axes.imshow(share, cmap=_FIELD_COLORS, alpha=0.25 + 0.6 * share)
  axes.contour(share, levels=[0.5], colors='white', linewidths=0.8)
  axes.set_xticks([])
  axes.set_yticks([])


def _draw_units(figure: Figure, axes: Axes, values: np.ndarray) -> None:
  """A number a unit."""
  image = axes.imshow(values, cmap=_UNIT_COLORS)
  middle = (values.min() + values.max()) / 2
  for (row, column), value in np.ndenumerate(values):
    axes.text(
      column,
      row,
      f'{value:.2g}',
      ha='center',
      va='center',
      fontsize=7,
      color='black' if value > middle else 'white',
    )
  axes.set_xticks([])
  axes.set_yticks([])
  figure.colorbar(image, ax=axes, shrink=0.8)
