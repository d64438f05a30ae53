import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import preprocessing
from facejax.data.preprocessing import Preprocessing
from facejax.errors import DataError
from tests.preparation.face_sets import draw


class PreprocessingTest(chex.TestCase):
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
  )
  def test_host_and_device_agree_to_one_gray_level(self, image_size, crop):
    images = np.stack([draw(seed) for seed in range(3)])
    contract = Preprocessing(image_size=image_size, crop=crop)
    host = np.stack([preprocessing.fit_crop(i, contract) for i in images])
    device = jax.jit(preprocessing.fit_batch, static_argnums=1)(
      jnp.asarray(images), contract
    )
    np.testing.assert_allclose(device, host.astype(np.float32), atol=1.01)

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
    with self.assertRaisesRegex(DataError, 'RGB or BGR'):
      Preprocessing(color_order='GRB')


if __name__ == '__main__':
  absltest.main()
