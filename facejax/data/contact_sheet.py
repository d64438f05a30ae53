"""Many small images on one, to look at what a data set holds."""

import numpy as np

from facejax.array_typing import UInt8
from facejax.errors import UsageError


def contact_sheet(
  images: UInt8[np.ndarray, 'N h w 3'], columns: int
) -> UInt8[np.ndarray, 'H W 3']:
  """Lays images out in rows, left to right and top to bottom.

  Args:
    images: uint8 [N, h, w, 3], N at least 1.
    columns: images in a row; the places left over in the last row are black.

  Returns:
    One image, H = h * ceil(N / columns) and W = w * columns.

  Raises:
    UsageError: there are no images, or columns is below 1.
  """
  if columns < 1:
    raise UsageError(f'a contact sheet of {columns} columns: use at least 1')
  if len(images) == 0:
    raise UsageError('a contact sheet of no images: give at least one')
  count, height, width, channels = images.shape
  rows = -(-count // columns)
  sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
  sheet[:count] = images
  sheet = sheet.reshape(rows, columns, height, width, channels)
  return sheet.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
