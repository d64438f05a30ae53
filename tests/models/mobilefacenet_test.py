"""MobileFaceNet's counts are the paper's, its outputs finite and lawful."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import DataError, UsageError
from facejax.models import MODELS, get_model
from facejax.models.counts import Counts, count_model
from facejax.models.stages import scale_width
from tests.models.numpy_variables import numpy_variables
from tests.models.small_mobile import SMALL

TWO_BLOCKS = ((2, 64, 1, 2), (2, 64, 1, 1))

# name, image size, parameters, folded parameters (spec 2.2), multiply-adds.
PUBLISHED = (
  ('mobilefacenet', (112, 112), 1_003_136, 993_344, 220_965_376),
  ('mobilefacenet', (112, 96), 999_552, 989_760, 189_408_256),
  ('mobilefacenet', (96, 96), 996_480, 986_688, 162_359_296),
  ('mobilefacenet_m', (112, 112), 937_344, 927_680, 220_899_840),
  ('mobilefacenet_s', (112, 112), 850_688, 841_920, 217_669_760),
)


def _count(name, **fields):
  return count_model(get_model(name, **fields))


class CountsTest(chex.TestCase):
  @parameterized.parameters(*PUBLISHED)
  def test_counts_are_those_of_the_paper(self, name, image_size, *counts):
    size = 512 if name.endswith('m') else 128
    self.assertEqual(_count(name, image_size=image_size), Counts(*counts, size))

  @parameterized.product(
    name=('mobilefacenet_m', 'mobilefacenet_s'),
    image_size=((112, 96), (96, 96)),
  )
  def test_variants_shrink_with_their_kernel(self, name, image_size):
    """Only the global kernel depends on the input: 7x7, 7x6, 6x6."""
    full = _count(name, image_size=(112, 112))
    small = _count(name, image_size=image_size)
    positions = 49 - (image_size[0] // 16) * (image_size[1] // 16)
    channels = 512 if name.endswith('m') else 128
    self.assertEqual(full.parameters - small.parameters, positions * channels)

  @parameterized.parameters((256, 1_068_928), (512, 1_200_512))
  def test_larger_embeddings(self, size, parameters):
    counts = _count('mobilefacenet', embedding_size=size)
    self.assertEqual(counts.parameters, parameters)

  def test_relu_has_no_slopes(self):
    self.assertEqual(
      _count('mobilefacenet', activation='relu'),
      Counts(995_584, 985_792, 220_965_376, 128),
    )

  def test_twice_the_expansion_is_not_the_row_of_the_paper(self):
    """The paper's Table 2 prints 1.1 M for it."""
    counts = _count('mobilefacenet', expansion_scale=2.0)
    self.assertEqual(counts.parameters, 1_841_408)
    self.assertEqual(round(counts.multiply_adds / 1e6), 431)

  @parameterized.parameters(
    ('residual', 16, 23_040),
    ('residual', 4, 92_160),
    ('depthwise', 16, 116_736),
    ('depthwise', 4, 466_944),
  )
  def test_squeeze_and_excite_adds(self, position, ratio, extra):
    counts = _count('mobilefacenet', se_ratio=ratio, se_position=position)
    self.assertEqual(counts.parameters, 1_003_136 + extra)
    self.assertEqual(counts.multiply_adds, 220_965_376 + extra)

  def test_tails_differ_by_the_global_layer(self):
    """49 positions of 512 channels; 128 embeddings of all of them."""
    counted = {
      tail: _count('mobilefacenet', tail=tail) for tail in ('average', 'dense')
    }
    self.assertEqual(
      counted['average'].parameters, 1_003_136 - 49 * 512 - 2 * 512
    )
    self.assertEqual(
      counted['dense'].parameters - counted['average'].parameters,
      48 * 512 * 128,
    )

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
    return model, numpy_variables(model, images, False), images

  def embed(self, model, variables, images):
    """Compiled whole: one by one, operations compile for seconds."""
    return jax.jit(lambda v, x: model.apply(v, x, False))(variables, images)

  def test_paths_give_one_embedding(self):
    model, variables, images = self.small()
    expected = self.embed(model, variables, images)
    chex.assert_shape(expected, (4, 16))
    for path in ('shifts', 'convolution'):
      other = self.small(conv_path=path)[0]
      np.testing.assert_allclose(
        self.embed(other, variables, images), expected, atol=1e-4
      )

  def test_half_precision_stays_close_with_float32_parameters(self):
    model, variables, images = self.small()
    half = self.small(dtype=jnp.bfloat16)[0]
    got, expected = (self.embed(m, variables, images) for m in (half, model))
    self.assertEqual(got.dtype, jnp.bfloat16)
    cosine = (got * expected).sum(1) / (
      jnp.linalg.norm(got, axis=1) * jnp.linalg.norm(expected, axis=1)
    )
    self.assertGreater(float(cosine.min()), 0.99)

  def test_training_moves_the_statistics_and_inference_does_not(self):
    model, variables, images = self.small()

    def statistics(train):
      _, moved = jax.jit(
        lambda v, x: model.apply(v, x, train, mutable=['batch_stats'])
      )(variables, images)
      return moved['batch_stats']

    moved = jax.tree.map(
      lambda a, b: bool((a != b).any()),
      statistics(True),
      variables['batch_stats'],
    )
    self.assertTrue(all(jax.tree.leaves(moved)))
    chex.assert_trees_all_equal(statistics(False), variables['batch_stats'])

  def test_images_of_another_size_are_refused(self):
    model, variables, _ = self.small()
    with self.assertRaisesRegex(DataError, r'takes images of \(32, 32, 3\)'):
      model.apply(variables, jnp.zeros((1, 16, 32, 3)), False)


class GetModelTest(chex.TestCase):
  @parameterized.parameters(*SMALL)
  def test_every_mobile_model_embeds(self, name):
    model = get_model(name, **SMALL[name])
    images = jnp.zeros((2, *model.image_size, 3))
    output = jax.eval_shape(
      lambda: model.init_with_output(jax.random.key(0), images, False)[0]
    )
    self.assertEqual(output.shape[0], 2)
    self.assertIn(name, MODELS)

  @parameterized.parameters(
    ({'tail': 'max'}, "tail 'max': use one of depthwise, average, dense"),
    ({'se_position': 'stem'}, "se_position 'stem': use one of depthwise"),
    ({'activation': 'gelu'}, "activation 'gelu': use one of prelu"),
    ({'tail': 'dense', 'embedding_size': None}, 'needs an embedding_size'),
  )
  def test_a_field_of_no_meaning_is_refused(self, fields, message):
    with self.assertRaisesRegex(UsageError, message):
      count_model(get_model('mobilefacenet', **fields))

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
    variables = numpy_variables(model, images, False)

    @functools.partial(jax.jit, static_argnums=0)
    def embed(train, seed):
      return model.apply(
        variables, images, train, mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(seed)},
      )[0]  # fmt: skip

    chex.assert_trees_all_equal(embed(False, 1), embed(False, 2))
    chex.assert_trees_all_equal(embed(True, 1), embed(True, 1))
    self.assertGreater(float(jnp.abs(embed(True, 1) - embed(True, 2)).max()), 0)
