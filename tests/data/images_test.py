import struct
import zlib

import chex
import cv2
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import images
from facejax.errors import DataError
from tests.preparation.face_sets import draw


def encode(image, extension, *parameters):
  return cv2.imencode(extension, image[:, :, ::-1], parameters)[1].tobytes()


def png_header(width, height):
  """A PNG of a few bytes that claims any size."""
  chunk = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  body = b'IHDR' + chunk
  return (
    b'\x89PNG\r\n\x1a\n'
    + struct.pack('>I', len(chunk))
    + body
    + struct.pack('>I', zlib.crc32(body))
  )


class ImagesTest(chex.TestCase):
  @parameterized.parameters('.png', '.bmp', '.webp')
  def test_lossless_formats_give_the_exact_rgb_pixels(self, extension):
    image = draw(0, (30, 50))
    quality = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == '.webp' else []
    data = encode(image, extension, *quality)
    self.assertEqual(images.image_size(data), (30, 50))
    np.testing.assert_array_equal(images.decode_image(data, 'x'), image)

  @parameterized.parameters(
    [[]],
    [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1]],
    [[cv2.IMWRITE_JPEG_RST_INTERVAL, 2]],
  )
  def test_jpeg_size_is_read_from_the_header(self, parameters):
    data = encode(draw(1, (40, 72)), '.jpg', *parameters)
    self.assertEqual(images.image_size(data), (40, 72))
    self.assertTrue(images.is_complete_jpeg(data))
    self.assertEqual(images.decode_image(data, 'x').shape, (40, 72, 3))

  def test_lossy_webp_size_is_read_from_the_header(self):
    data = encode(draw(1, (40, 72)), '.webp', cv2.IMWRITE_WEBP_QUALITY, 80)
    self.assertEqual(images.image_size(data), (40, 72))

  def test_red_stays_red_through_a_jpeg(self):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    pixels = images.decode_image(images.encode_jpeg(red), 'x')
    np.testing.assert_allclose(pixels, red.astype(int), atol=3)

  def test_gray_jpeg_is_repeated_over_the_channels(self):
    data = cv2.imencode('.jpg', draw(2)[:, :, 0])[1].tobytes()
    pixels = images.decode_image(data, 'x')
    self.assertEqual(pixels.shape, (112, 112, 3))
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])

  def test_uint8_array_is_taken_as_bytes(self):
    data = np.frombuffer(images.encode_jpeg(draw(3)), np.uint8)
    self.assertEqual(images.decode_image(data, 'x').shape, (112, 112, 3))

  @parameterized.parameters(0.05, 0.3, 0.5, 0.9, 0.999)
  def test_truncated_jpeg_is_rejected(self, share):
    data = images.encode_jpeg(draw(4))
    cut = data[: int(len(data) * share)]
    self.assertFalse(images.is_complete_jpeg(cut))
    with self.assertRaisesRegex(DataError, '^a.jpg: '):
      images.decode_image(cut, 'a.jpg')

  def test_truncated_jpeg_with_a_whole_thumbnail_is_rejected(self):
    data, thumbnail = images.encode_jpeg(draw(4)), images.encode_jpeg(draw(5))
    segment = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
    with_thumbnail = data[:2] + segment + data[2:]
    self.assertEqual(images.image_size(with_thumbnail), (112, 112))
    self.assertTrue(images.is_complete_jpeg(with_thumbnail))
    cut = with_thumbnail[:-400]
    self.assertFalse(images.is_complete_jpeg(cut))

  def test_bytes_appended_to_a_jpeg_are_no_harm(self):
    data = images.encode_jpeg(draw(6))
    pixels = images.decode_image(data + b'maker note' * 50, 'x')
    np.testing.assert_array_equal(pixels, images.decode_image(data, 'x'))

  @parameterized.parameters('.png', '.bmp', '.webp')
  def test_truncated_file_of_other_formats_is_rejected(self, extension):
    data = encode(draw(7), extension)
    with self.assertRaises(DataError):
      images.decode_image(data[: len(data) // 2], 'x')

  @parameterized.parameters(
    b'',
    b'no image at all',
    b'\xff\xd8\xff',
    b'\xff\xd8\xff\xe0\x00\x00',
    b'\x89PNG\r\n\x1a\n',
    b'BM',
    b'RIFF0000WEBPVP8X',
    b'GIF89a' + bytes(40),
  )
  def test_what_is_no_image_is_rejected(self, data):
    self.assertIsNone(images.image_size(data))
    with self.assertRaises(DataError):
      images.decode_image(data, 'x')

  @parameterized.parameters(
    [png_header(60_000, 60_000)],
    [b'BM' + bytes(16) + struct.pack('<ii', 60_000, -60_000) + bytes(32)],
  )
  def test_decompression_bomb_is_refused_by_its_header(self, data):
    with self.assertRaisesRegex(DataError, 'pixels are too many'):
      images.decode_image(data, 'x')


if __name__ == '__main__':
  absltest.main()
