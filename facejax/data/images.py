"""Encoded image files to RGB pixels and back."""

import struct

import cv2
import numpy as np

from facejax.array_typing import UInt8
from facejax.errors import DataError

JPEG_MAGIC = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
_MAX_PIXELS = 1 << 26  # a 64-megapixel photo; more is a decompression bomb
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
_PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}  # without a length


def _jpeg_layout(data: bytes) -> tuple[tuple[int, int] | None, int]:
  """Walks the segments up to the first scan.

  Returns:
    (height, width) or None where no frame header precedes the scan, and the
    offset of the scan, or the file's length where there is none. Thumbnails
    lie inside a segment and are stepped over.
  """
  size, at, end = None, 2, len(data)
  while at + 4 <= end and data[at] == 0xFF:
    marker = data[at + 1]
    if marker == _SCAN:
      return size, at
    if marker == 0xFF or marker in _BARE_MARKERS:
      at += 1 if marker == 0xFF else 2
      continue
    if marker in _FRAME_HEADERS and at + 9 <= end:
      height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
      size = int.from_bytes(height), int.from_bytes(width)
    at += 2 + (data[at + 2] << 8 | data[at + 3])
  return size, end


def _has_end(data: bytes, scan: int) -> bool:
  """Whether an end marker follows the start of the first scan.

  Inside a scan 0xFF is always escaped, so the first one is the real one.
  """
  # Nearly all files end with it, which spares a search through all bytes.
  return data.endswith(_JPEG_END, scan) or data.find(_JPEG_END, scan) >= 0


def _webp_size(data: bytes) -> tuple[int, int] | None:
  """(height, width) from the first chunk of a WebP file."""
  kind = data[12:16]
  if len(data) < 30:
    return None
  if kind == b'VP8 ':
    width, height = struct.unpack_from('<HH', data, 26)
    return height & 0x3FFF, width & 0x3FFF
  if kind == b'VP8L':
    (bits,) = struct.unpack_from('<I', data, 21)
    return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
  if kind == b'VP8X':
    width = int.from_bytes(data[24:27], 'little') + 1
    return int.from_bytes(data[27:30], 'little') + 1, width
  return None


def image_size(data: bytes) -> tuple[int, int] | None:
  """Height and width that a file's header states, without decoding it.

  Args:
    data: an encoded file; its kind is told by its content, not its name.

  Returns:
    (height, width) in pixels as stored, before any EXIF rotation, or None for
    anything but a JPEG, PNG, BMP or WebP file with a whole header.
  """
  try:
    if data.startswith(JPEG_MAGIC):
      return _jpeg_layout(data)[0]
    if data.startswith(_PNG_MAGIC):
      width, height = struct.unpack_from('>II', data, 16)
      return height, width
    if data.startswith(b'BM'):
      width, height = struct.unpack_from('<ii', data, 18)
      return abs(height), abs(width)  # negative: stored from the top row
    if data.startswith(b'RIFF') and data[8:12] == b'WEBP':
      return _webp_size(data)
  except struct.error:
    return None
  return None


def decode_image(
  data: bytes | UInt8[np.ndarray, ' n'], where: str
) -> UInt8[np.ndarray, 'H W 3']:
  """Decodes a JPEG, PNG, BMP or WebP file, whatever its name said.

  The size is read from the header first, so a small file that claims
  gigapixels costs nothing.

  Args:
    data: the encoded file, bytes or uint8 [n].
    where: what to call it in an error.

  Returns:
    Pixels in RGB order; grey images are repeated over the channels, and an
    EXIF rotation is applied.

  Raises:
    DataError: empty, cut short, too large or no image at all.
  """
  if len(data) == 0:
    raise DataError(f'{where}: the file is empty')
  data = bytes(data)
  if data.startswith(JPEG_MAGIC):
    size, scan = _jpeg_layout(data)
    if size and not _has_end(data, scan):
      raise DataError(f'{where}: the JPEG file is cut short')
  else:
    size = image_size(data)
  if size is None:
    raise DataError(f'{where}: is no readable JPEG, PNG, BMP or WebP image')
  height, width = size
  if height * width > _MAX_PIXELS:
    raise DataError(f'{where}: {width}x{height} pixels are too many')
  return decode_checked(data, where)


def decode_checked(data: bytes, where: str) -> UInt8[np.ndarray, 'H W 3']:
  """Decodes a file that `decode_image` has accepted before.

  For bytes that are known to be the same since, such as records with a
  checksum: header and end are not looked at again, which takes a tenth of the
  time of a small image.

  Args:
    data: the encoded file.
    where: what to call it in an error.

  Returns:
    Pixels as of `decode_image`.

  Raises:
    DataError: it cannot be decoded.
  """
  try:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
  except cv2.error as error:
    raise DataError(f'{where}: cannot be decoded ({error.err})') from None
  if image is None:
    raise DataError(f'{where}: the image is corrupt and cannot be decoded')
  return image


def is_complete_jpeg(data: bytes) -> bool:
  """Whether a JPEG file has its end marker (OpenCV decodes half a file).

  Bytes appended after it (some cameras do) are no harm.
  """
  return data.startswith(JPEG_MAGIC) and _has_end(data, _jpeg_layout(data)[1])


def encode_jpeg(
  image: UInt8[np.ndarray, 'H W 3'], *, quality: int = 95
) -> bytes:
  """Encodes RGB pixels as a JPEG file."""
  _, data = cv2.imencode(
    '.jpg', image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality]
  )
  return data.tobytes()


def encode_png(image: UInt8[np.ndarray, 'H W 3']) -> bytes:
  """Encodes RGB pixels as a PNG file."""
  _, data = cv2.imencode('.png', image[:, :, ::-1])
  return data.tobytes()
