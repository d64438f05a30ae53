import json
import zipfile

import chex
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data import preprocessing
from facejax.data.images import decode_image
from facejax.data.preprocessing import Preprocessing
from facejax.errors import DataError
from tests.preparation.face_sets import draw


class PreprocessingTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _request(self, request):
    self.request = request

  def face(self):
    """A real face, uint8 [112, 112, 3]; skips where there is none."""
    shared = self.request.getfixturevalue('shared')
    with zipfile.ZipFile(f'{shared}/faces/train_112_pins.zip') as archive:
      name = min(n for n in archive.namelist() if n.endswith('.jpg'))
      return decode_image(archive.read(name), name)

  def assert_agree(self, images, contract):
    """Host and device fit alike; returns what the host gives."""
    host = np.stack([preprocessing.fit_crop(i, contract) for i in images])
    device = jax.jit(preprocessing.fit_batch, static_argnums=1)(
      jnp.asarray(images), contract
    )
    np.testing.assert_allclose(device, host.astype(np.float32), atol=1.01)
    return host

  def test_pixels_are_normalised_as_in_the_paper(self):
    pixels = jnp.array([0, 127, 128, 255], jnp.uint8).reshape(1, 2, 2, 1)
    pixels = jnp.repeat(pixels, 3, axis=-1)
    expected = np.array([-0.99609375, -0.00390625, 0.00390625, 0.99609375])
    out = preprocessing.normalize(pixels, Preprocessing())
    np.testing.assert_array_equal(out[0, ..., 0].ravel(), expected)

  def test_bgr_models_get_the_channels_reversed(self):
    pixels = jnp.array([[[[10, 20, 30]]]], jnp.uint8)
    contract = Preprocessing(color_order='BGR', mean=0.0, scale=1.0)
    out = preprocessing.normalize(pixels, contract)
    np.testing.assert_array_equal(out.ravel(), [30, 20, 10])

  def test_grey_models_get_one_channel_of_luma(self):
    pixels = jnp.array([[[[10, 20, 30], [255, 255, 255]]]], jnp.uint8)
    contract = Preprocessing(color_order='GRAY', mean=0.0, scale=1.0)
    out = preprocessing.normalize(pixels, contract)
    # 0.299 * 10 + 0.587 * 20 + 0.114 * 30
    np.testing.assert_allclose(out, [[[[18.15], [255.0]]]], rtol=1e-6)

  def test_grey_agrees_with_opencv_to_rounding(self):
    image = draw(2)
    contract = Preprocessing(color_order='GRAY')
    out = preprocessing.normalize(jnp.asarray(image)[None], contract)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    np.testing.assert_allclose(
      out[0, ..., 0], (grey - 127.5) / 128, atol=0.51 / 128
    )

  @parameterized.parameters(('RGB', 3), ('BGR', 3), ('GRAY', 1))
  def test_channels_follow_the_color_order(self, color_order, channels):
    contract = Preprocessing(color_order=color_order)
    self.assertEqual(contract.image_channels, channels)

  def test_narrow_crop_is_columns_8_to_103(self):
    image = draw(0)
    contract = Preprocessing(image_size=(112, 96), crop=(112, 96))
    out = preprocessing.fit_crop(image, contract)
    np.testing.assert_array_equal(out, image[:, 8:104])

  def test_small_crop_cuts_eight_pixels_from_every_side(self):
    image = draw(0)
    contract = Preprocessing(image_size=(96, 96), crop=(96, 96))
    out = preprocessing.fit_crop(image, contract)
    np.testing.assert_array_equal(out, image[8:104, 8:104])

  def test_halving_averages_four_pixels(self):
    image = draw(1)
    contract = Preprocessing(image_size=(56, 56))
    means = image.reshape(56, 2, 56, 2, 3).mean((1, 3))
    out = preprocessing.fit_crop(image, contract)
    np.testing.assert_allclose(out, means, atol=0.51)

  @parameterized.parameters(
    ((112, 112), (112, 112)),
    ((64, 64), (112, 112)),
    ((112, 96), (112, 96)),
    ((64, 56), (112, 96)),
    ((224, 224), (112, 96)),
    ((56, 128), (112, 112)),
  )
  def test_host_and_device_agree_to_one_gray_level(self, image_size, crop):
    images = np.stack([draw(seed) for seed in range(3)])
    self.assert_agree(images, Preprocessing(image_size=image_size, crop=crop))

  @parameterized.parameters((128, 128), (224, 224), (128, 56), (67, 227))
  def test_host_and_device_agree_on_a_real_face(self, *image_size):
    host = self.assert_agree(self.face()[None], Preprocessing(image_size))
    self.assertEqual(host.shape, (1, *image_size, 3))

  @parameterized.parameters((128, 128), (224, 224))
  def test_faces_are_enlarged_as_opencv_does_linearly(self, *image_size):
    face = self.face()
    np.testing.assert_array_equal(
      preprocessing.fit_crop(face, Preprocessing(image_size)),
      cv2.resize(face, image_size[::-1], interpolation=cv2.INTER_LINEAR),
    )

  def test_an_axis_that_shrinks_is_averaged_while_the_other_grows(self):
    image = draw(1)
    halves = image.reshape(56, 2, 112, 3).mean(1).round().astype(np.uint8)
    expected = cv2.resize(halves, (224, 56), interpolation=cv2.INTER_LINEAR)
    out = preprocessing.fit_crop(image, Preprocessing((56, 224)))
    np.testing.assert_allclose(
      out.astype(np.float32), expected.astype(np.float32), atol=1.01
    )

  def test_enlarging_interpolates_between_pixel_centres(self):
    image = np.zeros((112, 112, 3), np.uint8)
    image[:, 1] = 100
    out = preprocessing.fit_batch(
      jnp.asarray(image)[None], Preprocessing((112, 224))
    )
    # Centres lie a quarter and three quarters of a pixel from the next one's.
    np.testing.assert_array_equal(out[0, 5, :5, 0], [0, 25, 75, 75, 25])

  def test_pixels_repeated_four_times_come_back_exactly(self):
    small = draw(3)[:28, :28]
    image = small.repeat(4, 0).repeat(4, 1)
    contract = Preprocessing((28, 28))
    np.testing.assert_array_equal(
      preprocessing.fit_crop(image, contract), small
    )

  def test_contract_survives_json(self):
    contract = Preprocessing((96, 96), (112, 96), 127.5, 127.5, 'BGR')
    value = json.loads(json.dumps(contract.to_json()))
    self.assertEqual(Preprocessing.from_json(value), contract)

  def test_bad_contracts_are_refused(self):
    value = Preprocessing().to_json()
    value['template'][0][0] += 1
    with self.assertRaisesRegex(DataError, 'template'):
      Preprocessing.from_json(value)
    with self.assertRaisesRegex(DataError, 'larger'):
      Preprocessing(crop=(128, 112))
    with self.assertRaisesRegex(DataError, 'use one of RGB, BGR, GRAY'):
      Preprocessing(color_order='GRB')


if __name__ == '__main__':
  absltest.main()
