"""All paths of the convolutions compute the same sums."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import DataError
from facejax.ops import convolution, depthwise


def naive_depthwise(x, kernel, strides, padding):
  """The definition, one output at a time."""
  (top, bottom), (left, right) = padding
  x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
  kh, kw = kernel.shape[:2]
  rows = (x.shape[1] - kh) // strides[0] + 1
  columns = (x.shape[2] - kw) // strides[1] + 1
  y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
  for i in range(rows):
    for j in range(columns):
      window = x[
        :,
        i * strides[0] : i * strides[0] + kh,
        j * strides[1] : j * strides[1] + kw,
      ]
      y[:, i, j] = (window * kernel[None, :, :, 0]).sum((1, 2))
  return y


CASES = (
  {'size': (8, 8), 'kernel': (3, 3), 'strides': (1, 1)},
  {'size': (8, 8), 'kernel': (3, 3), 'strides': (2, 2)},
  {'size': (7, 9), 'kernel': (3, 3), 'strides': (2, 2)},
  {'size': (9, 6), 'kernel': (5, 5), 'strides': (2, 1)},
)


def example(size, kernel, channels=6):
  generator = np.random.default_rng(0)
  x = generator.normal(size=(2, *size, channels)).astype(np.float32)
  k = generator.normal(size=(*kernel, 1, channels)).astype(np.float32)
  edges = tuple((n // 2, n // 2) for n in kernel)
  return jnp.asarray(x), jnp.asarray(k), edges


class DepthwiseTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.product(CASES, path=('auto', 'convolution', 'shifts'))
  def test_every_path_equals_the_definition(self, size, kernel, strides, path):
    x, k, edges = example(size, kernel)

    @self.variant
    def convolve(x, k):
      return depthwise.depthwise_conv(
        x, k, strides=strides, padding=edges, path=path
      )

    expected = naive_depthwise(x, k, strides, edges)
    np.testing.assert_allclose(convolve(x, k), expected, atol=1e-5)

  @parameterized.parameters(*CASES)
  def test_gradients_of_the_paths_agree(self, size, kernel, strides):
    x, k, edges = example(size, kernel)

    def gradient(path):
      def loss(x, k):
        y = depthwise.depthwise_conv(
          x, k, strides=strides, padding=edges, path=path
        )
        return jnp.sum(jnp.sin(y))

      return jax.grad(loss, argnums=(0, 1))(x, k)

    chex.assert_trees_all_close(
      gradient('shifts'), gradient('convolution'), atol=2e-5
    )

  def test_asymmetric_padding_has_the_right_gradient(self):
    x, k, _ = example((6, 6), (3, 3))
    padding = ((0, 2), (1, 0))

    def gradient(path):
      def loss(x):
        y = depthwise.depthwise_conv(
          x, k, strides=(2, 1), padding=padding, path=path
        )
        return jnp.sum(y**2)

      return jax.grad(loss)(x)

    chex.assert_trees_all_close(
      gradient('shifts'), gradient('convolution'), rtol=1e-4, atol=1e-4
    )

  def test_half_precision_stays_half_precision(self):
    x, k, edges = example((8, 8), (3, 3))
    x, k = jnp.asarray(x, jnp.bfloat16), jnp.asarray(k, jnp.bfloat16)
    for path in ('shifts', 'convolution'):
      y = depthwise.depthwise_conv(x, k, padding=edges, path=path)
      self.assertEqual(y.dtype, jnp.bfloat16)

  def test_an_unknown_path_is_refused(self):
    x, k, edges = example((8, 8), (3, 3))
    with self.assertRaisesRegex(ValueError, "'fast' is none of"):
      depthwise.depthwise_conv(x, k, padding=edges, path='fast')

  def test_global_depthwise_is_a_depthwise_over_the_whole_map(self):
    x, _, _ = example((7, 6), (3, 3))
    k = jax.random.normal(jax.random.key(1), (7, 6, 1, 6))
    expected = naive_depthwise(x, k, (1, 1), ((0, 0), (0, 0)))[:, 0, 0]
    got = depthwise.global_depthwise_conv(x, k)
    np.testing.assert_allclose(got, expected, atol=1e-5)


class FullConvolutionTest(chex.TestCase):
  @parameterized.parameters(1, 2)
  def test_stem_paths_agree_in_value_and_gradient(self, stride):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 9, 8, 3)), jnp.float32)
    k = jnp.asarray(generator.normal(size=(3, 3, 3, 5)), jnp.float32)

    def run(path):
      def loss(x, k):
        y = convolution.stem_conv(x, k, strides=(stride, stride), path=path)
        return jnp.sum(jnp.sin(y)), y

      return jax.grad(loss, argnums=(0, 1), has_aux=True)(x, k)

    chex.assert_trees_all_close(run('shifts'), run('convolution'), atol=5e-5)

  def test_pointwise_is_a_one_by_one_convolution(self):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 4, 5, 3)), jnp.float32)
    k = jnp.asarray(generator.normal(size=(1, 1, 3, 7)), jnp.float32)
    expected = jax.lax.conv_general_dilated(
      x, k, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    got = convolution.pointwise_conv(x, k)
    np.testing.assert_allclose(got, expected, atol=1e-5)


class GroupedTest(chex.TestCase):
  @parameterized.product(stride=(1, 2), shape=((3, 3, 2, 6), (1, 1, 2, 9)))
  def test_paths_agree_in_value_and_gradient(self, stride, shape):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 9, 8, 6)), jnp.float32)
    k = jnp.asarray(generator.normal(size=shape), jnp.float32)
    edge = (shape[0] // 2, shape[0] // 2)

    def run(path):
      def loss(x, k):
        y = convolution.grouped_conv(
          x, k, strides=(stride, stride), padding=(edge, edge), groups=3,
          path=path,
        )  # fmt: skip
        return jnp.sum(jnp.sin(y)), y

      return jax.grad(loss, argnums=(0, 1), has_aux=True)(x, k)

    chex.assert_trees_all_close(run('shifts'), run('convolution'), atol=5e-5)


class DispatchTest(chex.TestCase):
  """`conv` takes the best way, and every way is the convolution."""

  @parameterized.named_parameters(
    ('pointwise', (7, 6, 8), (1, 1, 8, 5), 1, 0, 1),
    ('pointwise_strided', (7, 6, 8), (1, 1, 8, 5), 2, 0, 1),
    ('depthwise', (7, 6, 8), (3, 3, 1, 8), 2, 1, 8),
    ('global_depthwise', (7, 6, 8), (7, 6, 1, 8), 1, 0, 8),
    ('dense', (7, 6, 8), (7, 6, 8, 5), 1, 0, 1),
    ('stem', (7, 6, 3), (3, 3, 3, 5), 2, 1, 1),
    ('grouped', (7, 6, 8), (3, 3, 2, 8), 1, 1, 4),
    ('multiplied_depthwise', (7, 6, 8), (3, 3, 1, 16), 1, 1, 8),
    ('full', (7, 6, 8), (3, 3, 8, 5), 2, 1, 1),
    ('full_valid', (7, 6, 8), (5, 5, 8, 5), 1, 0, 1),
    ('pointwise_padded', (3, 3, 8), (1, 1, 8, 5), 1, 1, 1),
  )
  def test_it_is_the_convolution(self, size, shape, stride, edge, groups):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, *size)), jnp.float32)
    k = jnp.asarray(generator.normal(size=shape), jnp.float32)
    padding = ((edge, edge), (edge, edge))
    got = convolution.conv(
      x, k, strides=(stride, stride), padding=padding, groups=groups
    )
    expected = jax.lax.conv_general_dilated(
      x, k, (stride, stride), padding, feature_group_count=groups,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )  # fmt: skip
    np.testing.assert_allclose(got, expected, atol=1e-4)

  @parameterized.parameters(
    ((3, 3, 4, 8), 1, 'does not fit a map of 8 channels'),
    ((3, 3, 4, 7), 2, 'does not fit a map of 8 channels'),
    ((9, 3, 8, 8), 1, 'too small for a kernel'),
  )
  def test_a_kernel_that_does_not_fit_is_refused(self, shape, groups, message):
    with self.assertRaisesRegex(DataError, message):
      convolution.conv(jnp.zeros((1, 7, 7, 8)), jnp.zeros(shape), groups=groups)
