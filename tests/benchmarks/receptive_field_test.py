import json
import os
import zipfile

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, flagsaver

from benchmarks import effective_fields, field_statistics, receptive_field
from benchmarks.facejax_mobilefacenet import draw_variables
from facejax.checkpoint.model_directory import write_model_directory
from facejax.compression.folding import fold_batch_norm
from facejax.data.images import encode_jpeg
from facejax.data.preprocessing import Preprocessing
from facejax.errors import DataError, UsageError
from facejax.inference.description import describe_model
from facejax.models import get_model
from facejax.ops.convolution import conv

FIELDS = {
  'width': 0.125,
  'image_size': (32, 32),
  'stages': ((2, 64, 1, 4),),
}


def random_model(**fields):
  model = get_model('mobilefacenet', **FIELDS, **fields)
  return model, jax.tree.map(jnp.asarray, draw_variables(model))


class EffectiveFieldsTest(chex.TestCase):
  def test_a_convolution_of_3_x_3_has_a_field_of_3_x_3(self):
    kernel = jnp.ones((3, 3, 1, 1))
    images = np.ones((2, 6, 6, 1), np.float32)
    fields = effective_fields.effective_fields(
      lambda x: conv(x, kernel, padding=((1, 1), (1, 1))), [images]
    )
    wanted = np.zeros((6, 6, 6, 6), np.float32)
    for i, j in np.ndindex(6, 6):
      wanted[i, j, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] = 1
    np.testing.assert_allclose(fields, wanted)

  def test_channels_do_not_hide_each_other(self):
    # Their plain sum has no gradient at all.
    def opposed(x):
      return jnp.concatenate([x, -x], axis=-1)

    image = np.ones((64, 2, 2, 1), np.float32)
    fields = effective_fields.effective_fields(opposed, [image])
    # Equal signs cancel, in about half of the images; others give 2.
    self.assertAlmostEqual(float(fields[0, 0, 0, 0]), 1.0, delta=0.35)
    self.assertEqual(float(fields[0, 0, 1, 1]), 0.0)

  def test_fields_are_means_over_all_images_of_all_batches(self):
    def square(x):
      return x**2

    batches = [
      np.full((count, 1, 1, 1), value, np.float32)
      for count, value in ((1, 1), (3, 2))
    ]
    fields = effective_fields.effective_fields(square, batches)
    self.assertAlmostEqual(float(fields[0, 0, 0, 0]), (2 + 3 * 4) / 4, 5)

  def test_no_images_is_an_error(self):
    with self.assertRaisesRegex(DataError, 'no images'):
      effective_fields.effective_fields(lambda x: x, [])

  def test_the_map_is_what_the_global_convolution_is_given(self):
    model, variables = random_model()
    images = jax.random.normal(jax.random.key(1), (1, 32, 32, 3))
    features = effective_fields.map_before_global(model, variables, images)
    self.assertEqual(features.shape, (1, 4, 4, 64))
    # What comes after it gives the embeddings of the whole net.
    folded = fold_batch_norm(variables)['params']
    x = jnp.einsum(
      'bhwc,hwc->bc', features, folded['global']['conv']['kernel'][:, :, 0]
    )
    x = (x + folded['global']['conv']['bias'][None])[:, None, None]
    embed = folded['embed']['conv']
    embeddings = conv(x, embed['kernel'])[:, 0, 0] + embed['bias'][None]
    np.testing.assert_allclose(
      embeddings, model.apply(variables, images, False), rtol=1e-4, atol=1e-4
    )

  def test_a_net_without_global_convolution_is_refused(self):
    model, variables = random_model(tail='average')
    with self.assertRaisesRegex(DataError, 'no global depthwise'):
      effective_fields.map_before_global(
        model, variables, jnp.zeros((1, 32, 32, 3))
      )

  def test_kernel_energy_is_relative_to_its_mean(self):
    kernel = np.zeros((2, 2, 1, 2), np.float32)
    kernel[0, 0, 0], kernel[1, 1, 0, 1] = (3, 4), 5
    np.testing.assert_allclose(
      effective_fields.kernel_energy(kernel), [[2, 0], [0, 2]]
    )


class FieldStatisticsTest(chex.TestCase):
  def test_radii_hold_shares_of_the_mass_around_its_centre(self):
    field = np.zeros((5, 5))
    field[2, 2], field[2, 0], field[2, 4] = 0.6, 0.2, 0.2
    self.assertEqual(field_statistics.radii(field, (0.5, 0.9)), [0, 2])

  def test_a_field_at_the_border_is_cut_where_it_leaves_the_image(self):
    # Three units of two pixels along each axis; the fields are 3 x 3.
    fields = np.zeros((3, 3, 6, 6), np.float32)
    for i, j in np.ndindex(3, 3):
      row, column = 2 * i, 2 * j
      fields[
        i, j, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2
      ] = 1
    statistics = field_statistics.field_statistics(fields)
    np.testing.assert_allclose(
      statistics['cut_off'],
      [[5 / 9, 3 / 9, 3 / 9], [3 / 9, 0, 0], [3 / 9, 0, 0]],
      atol=1e-6,
    )
    self.assertEqual(statistics['area'][1, 1], 9)
    self.assertEqual(statistics['area'][0, 0], 4)
    self.assertAlmostEqual(float(statistics['strength'][0, 0]), 4 / 9, 6)
    self.assertAlmostEqual(float(statistics['border'][0, 0]), 3 / 4, 6)
    self.assertEqual(statistics['border'][1, 1], 0)

  def test_centre_of_an_even_side_is_two_units(self):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    centre, corners = field_statistics.centre_and_corners(values)
    self.assertEqual((centre, corners), (5.5, 5.5))
    values[0, 0] = 100
    self.assertEqual(field_statistics.centre_and_corners(values)[1], 30.5)


class ReceptiveFieldTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.folder = str(tmp_path)

  def write_faces(self, count):
    path = os.path.join(self.folder, 'faces.zip')
    pixels = np.random.default_rng(0).integers(
      0, 256, (count, 112, 112, 3), dtype=np.uint8
    )
    with zipfile.ZipFile(path, 'w') as archive:
      for number, image in enumerate(pixels):
        archive.writestr(f'a/{number}.jpg', encode_jpeg(image))
    return path

  def test_the_script_measures_a_model_and_draws_it(self):
    _, variables = random_model()
    description = describe_model(
      variables,
      architecture='mobilefacenet',
      fields=FIELDS,
      preprocessing=Preprocessing(image_size=(32, 32)),
    )
    model, figure = (os.path.join(self.folder, n) for n in ('m', 'f.png'))
    write_model_directory(model, description=description, variables=variables)
    with flagsaver.flagsaver(
      model=model, data=self.write_faces(5), num_faces=4, output=figure
    ):
      result = receptive_field.main([])
    self.assertEqual(json.loads(json.dumps(result)), result)
    self.assertEqual(result['num_images'], 4)
    (numbers,) = result['models']
    self.assertEqual(numbers['map'], [4, 4])
    self.assertEqual(numbers['image_size'], [32, 32])
    self.assertEqual(
      set(numbers['statistics']), {*field_statistics.NAMES, 'energy'}
    )
    energy = numbers['statistics']['energy']['units']
    self.assertAlmostEqual(float(np.mean(energy)), 1.0, 3)
    corner = numbers['statistics']['cut_off']['corners']
    self.assertGreater(corner, numbers['statistics']['cut_off']['centre'])
    with open(figure, 'rb') as file:
      self.assertEqual(file.read(4), b'\x89PNG')

  def test_fewer_images_than_wanted_is_an_error(self):
    with (
      flagsaver.flagsaver(
        model='x', data=self.write_faces(2), num_faces=4, output=None
      ),
      self.assertRaisesRegex(DataError, 'holds 2 images, 4 are wanted'),
    ):
      receptive_field.main([])

  def test_no_model_is_an_error(self):
    with (
      flagsaver.flagsaver(model=None),
      self.assertRaisesRegex(UsageError, '--model'),
    ):
      receptive_field.main([])


if __name__ == '__main__':
  absltest.main()
