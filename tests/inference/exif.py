"""Photos as cameras store them: turned, with a note of how they were held."""

import struct
import zlib
from collections.abc import Callable

import numpy as np

# How the pixels of an upright photo are stored, for every EXIF orientation.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
  1: lambda image: image,
  2: lambda image: image[:, ::-1],
  3: lambda image: image[::-1, ::-1],
  4: lambda image: image[::-1],
  5: lambda image: image.swapaxes(0, 1),
  6: lambda image: np.rot90(image, 1),
  7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
  8: lambda image: np.rot90(image, -1),
}
_ORIENTATION, _SHORT = 0x112, 3


def tiff(orientation: int) -> bytes:
  """An EXIF block whose only entry is the orientation."""
  entry = struct.pack('>HHIHH', _ORIENTATION, _SHORT, 1, orientation, 0)
  return b'MM\x00*' + struct.pack('>IH', 8, 1) + entry + bytes(4)


def mark_jpeg(data: bytes, orientation: int) -> bytes:
  """Inserts an APP1 segment behind the start of a JPEG file."""
  body = b'Exif\x00\x00' + tiff(orientation)
  return (
    data[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + data[2:]
  )


def mark_png(data: bytes, orientation: int) -> bytes:
  """Inserts an eXIf chunk behind the header of a PNG file."""
  body = tiff(orientation)
  chunk = b'eXIf' + body
  header = 8 + 25
  return (
    data[:header]
    + struct.pack('>I', len(body))
    + chunk
    + struct.pack('>I', zlib.crc32(chunk))
    + data[header:]
  )
