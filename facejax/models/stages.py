"""Widths and depths of the stages of a net."""

from collections.abc import Mapping

from facejax.errors import UsageError

Units = tuple[int, ...]


def scale_width(features: int, width: float, multiple: int = 8) -> int:
  """Channels at a width factor, in multiples of a number, at least that."""
  return multiple * max(1, round(features * width / multiple))


def stage_units(
  depth: int, units: Units | None, published: Mapping[int, Units]
) -> Units:
  """Residual units of every stage.

  Args:
    depth: of the net, in layers.
    units: of every stage, or None for those of `depth`.
    published: the family's units by depth.

  Returns:
    One number for each stage, zero or more.

  Raises:
    UsageError: an unknown depth; or units that are not one for each stage.
  """
  if units is None:
    if depth not in published:
      known = ', '.join(map(str, published))
      raise UsageError(f'depth {depth}: use one of {known}, or give units')
    return published[depth]
  stages = len(next(iter(published.values())))
  if len(units) != stages or min(units) < 0:
    raise UsageError(
      f'units {units}: use {stages} numbers of 0 or more, one for each stage'
    )
  return units
