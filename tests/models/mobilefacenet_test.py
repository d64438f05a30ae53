"""MobileFaceNet's counts are the paper's, its outputs finite and lawful."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import DataError, UsageError
from facejax.models import MODELS, get_model
from facejax.models.counts import Counts, count_model
from facejax.models.mobilefacenet import scale_width

TWO_BLOCKS = ((2, 64, 1, 2), (2, 64, 1, 1))

# name, image size, parameters, folded parameters (spec 2.2), multiply-adds.
PUBLISHED = (
  ('mobilefacenet', (112, 112), 1_003_136, 993_344, 220_965_376),
  ('mobilefacenet', (112, 96), 999_552, 989_760, 189_408_256),
  ('mobilefacenet', (96, 96), 996_480, 986_688, 162_359_296),
  ('mobilefacenet_m', (112, 112), 937_344, 927_680, 220_899_840),
  ('mobilefacenet_s', (112, 112), 850_688, 841_920, 217_669_760),
)


class CountsTest(chex.TestCase):
  @parameterized.parameters(*PUBLISHED)
  def test_counts_are_those_of_the_paper(self, name, image_size, *counts):
    model = get_model(name, image_size=image_size)
    self.assertEqual(count_model(model, image_size), Counts(*counts))

  @parameterized.product(
    name=('mobilefacenet_m', 'mobilefacenet_s'),
    image_size=((112, 96), (96, 96)),
  )
  def test_variants_shrink_with_their_kernel(self, name, image_size):
    """Only the global kernel depends on the input: 7x7, 7x6, 6x6."""
    full = count_model(get_model(name), (112, 112))
    small = count_model(get_model(name, image_size=image_size), image_size)
    positions = 49 - (image_size[0] // 16) * (image_size[1] // 16)
    channels = 512 if name.endswith('m') else 128
    self.assertEqual(full.parameters - small.parameters, positions * channels)

  @parameterized.parameters((256, 1_068_928), (512, 1_200_512))
  def test_larger_embeddings(self, size, parameters):
    model = get_model('mobilefacenet', embedding_size=size)
    self.assertEqual(count_model(model, (112, 112)).parameters, parameters)

  def test_width_scales_in_multiples_of_eight(self):
    self.assertEqual(
      [scale_width(64, w) for w in (0.05, 0.25, 0.4, 0.5, 1.0)],
      [8, 16, 24, 32, 64],
    )


class MobileFaceNetTest(chex.TestCase):
  def small(self, **fields):
    model = get_model(
      'mobilefacenet',
      image_size=[32, 32],
      width=0.25,
      embedding_size=16,
      stages=[list(stage) for stage in TWO_BLOCKS],
      **fields,
    )
    images = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
    return model, model.init(jax.random.key(0), images, False), images

  def test_paths_give_one_embedding(self):
    model, variables, images = self.small()
    expected = model.apply(variables, images, False)
    chex.assert_shape(expected, (4, 16))
    for path in ('shifts', 'convolution'):
      other = self.small(path=path)[0]
      np.testing.assert_allclose(
        other.apply(variables, images, False), expected, atol=1e-4
      )

  def test_half_precision_stays_close_with_float32_parameters(self):
    model, variables, images = self.small()
    half = self.small(dtype=jnp.bfloat16)[0]
    got = half.apply(variables, images, False)
    self.assertEqual(got.dtype, jnp.bfloat16)
    expected = model.apply(variables, images, False)
    cosine = (got * expected).sum(1) / (
      jnp.linalg.norm(got, axis=1) * jnp.linalg.norm(expected, axis=1)
    )
    self.assertGreater(float(cosine.min()), 0.99)

  def test_training_moves_the_statistics_and_inference_does_not(self):
    model, variables, images = self.small()
    _, trained = model.apply(variables, images, True, mutable=['batch_stats'])
    moved = jax.tree.map(
      lambda a, b: bool((a != b).any()),
      trained['batch_stats'],
      variables['batch_stats'],
    )
    self.assertTrue(all(jax.tree.leaves(moved)))
    _, still = model.apply(variables, images, False, mutable=['batch_stats'])
    chex.assert_trees_all_equal(still['batch_stats'], variables['batch_stats'])

  def test_images_of_another_size_are_refused(self):
    model, variables, _ = self.small()
    with self.assertRaisesRegex(DataError, r'takes images of \(32, 32, 3\)'):
      model.apply(variables, jnp.zeros((1, 16, 32, 3)), False)


class GetModelTest(chex.TestCase):
  def test_every_model_embeds(self):
    for name in MODELS:
      model = get_model(name, image_size=(32, 32), width=0.25)
      output = jax.eval_shape(
        lambda model=model: model.init_with_output(
          jax.random.key(0), jnp.zeros((2, 32, 32, 3)), False
        )[0]
      )
      self.assertEqual(output.shape[0], 2)

  def test_an_unknown_name_is_answered_with_the_nearest(self):
    with self.assertRaisesRegex(UsageError, 'use mobilefacenet'):
      get_model('mobilfacenet')

  def test_an_unknown_field_is_named(self):
    with self.assertRaisesRegex(UsageError, "no field 'widht'"):
      get_model('mobilefacenet', widht=0.5)


class DropoutTest(chex.TestCase):
  def test_dropout_acts_in_training_alone_and_by_its_key(self):
    model = get_model(
      'mobilefacenet', image_size=(32, 32), width=0.25, dropout=0.5,
      stages=TWO_BLOCKS,
    )  # fmt: skip
    images = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
    variables = model.init(jax.random.key(0), images, False)

    def embed(train, seed):
      return model.apply(
        variables, images, train, mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(seed)},
      )[0]  # fmt: skip

    chex.assert_trees_all_equal(embed(False, 1), embed(False, 2))
    chex.assert_trees_all_equal(embed(True, 1), embed(True, 1))
    self.assertGreater(float(jnp.abs(embed(True, 1) - embed(True, 2)).max()), 0)
