"""What receptive fields measure: widths, and what the border takes away."""

import numpy as np

from facejax.array_typing import Float

NAMES = (
  'radius_half',
  'radius_most',
  'area',
  'cut_off',
  'border',
  'strength',
)


def field_statistics(
  fields: Float[np.ndarray, 'h w H W'],
) -> dict[str, Float[np.ndarray, 'h w']]:
  """Numbers of every unit's field.

  Args:
    fields: not negative, and nowhere all zero.

  Returns:
    By `NAMES`, in pixels or shares of a field's mass: 'radius_half' and
    'radius_most' around the centre of mass hold half and 90 % of it; 'area' is
    the pixels above half the maximum; 'cut_off' is the share of the central
    unit's field that would lie outside the image if it stood at this unit;
    'border' is the share within half a unit of an edge; 'strength' is the mass
    by that of the central unit.
  """
  height, width = fields.shape[:2]
  centre = (height // 2, width // 2)
  result = {name: np.zeros((height, width), np.float32) for name in NAMES}
  for unit in np.ndindex(height, width):
    field = fields[unit].astype(np.float64)
    half, most = radii(field, (0.5, 0.9))
    result['radius_half'][unit], result['radius_most'][unit] = half, most
    result['area'][unit] = (field > field.max() / 2).sum()
    result['cut_off'][unit] = _cut_off(fields[centre], unit, centre, fields)
    result['border'][unit] = _border_share(field, (height, width))
    result['strength'][unit] = field.sum() / fields[centre].sum()
  return result


def radii(
  field: Float[np.ndarray, 'H W'], shares: tuple[float, ...]
) -> list[float]:
  """Pixels around the centre of mass that hold shares of it."""
  rows, columns = np.indices(field.shape)
  mass = field / field.sum()
  row, column = (rows * mass).sum(), (columns * mass).sum()
  distance = np.hypot(rows - row, columns - column).ravel()
  order = np.argsort(distance, kind='stable')
  held = np.cumsum(mass.ravel()[order])
  # The last sum may be a rounding below one.
  places = np.minimum(np.searchsorted(held, shares), held.size - 1)
  return distance[order][places].tolist()


def _cut_off(central, unit, centre, fields) -> float:
  """The share of the central field that leaves the image at a unit."""
  inside = central
  for axis in (0, 1):
    step = fields.shape[2 + axis] / fields.shape[axis]
    shift = round((unit[axis] - centre[axis]) * step)
    inside = np.roll(inside, shift, axis)
    stays = np.arange(inside.shape[axis]) - shift
    stays = (stays >= 0) & (stays < inside.shape[axis])
    inside = inside * np.expand_dims(stays, 1 - axis)
  return 1 - inside.sum() / central.sum()


def _border_share(field, units: tuple[int, int]) -> float:
  """The share of a field that lies within half a unit of an edge."""
  top, left = (
    size // count // 2 for size, count in zip(field.shape, units, strict=True)
  )
  inner = field[top : field.shape[0] - top, left : field.shape[1] - left]
  return 1 - inner.sum() / field.sum()


def centre_and_corners(
  values: Float[np.ndarray, 'h w'],
) -> tuple[float, float]:
  """Means of the middle units (two along an even side) and of the corners."""
  middle = [slice((size - 1) // 2, size // 2 + 1) for size in values.shape]
  corners = values[np.ix_((0, -1), (0, -1))]
  return float(values[tuple(middle)].mean()), float(corners.mean())
