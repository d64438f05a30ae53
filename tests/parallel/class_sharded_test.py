"""The class-sharded loss is the dense loss, in value and in gradient."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import classification, margins
from facejax.parallel import class_sharded
from facejax.parallel import mesh as mesh_lib


def example(num_identities, rows):
  generator = np.random.default_rng(num_identities)
  embeddings = generator.normal(size=(16, 8)).astype(np.float32)
  weights = generator.normal(size=(rows, 8)).astype(np.float32)
  labels = generator.integers(0, num_identities, 16).astype(np.int32)
  return jnp.asarray(embeddings), jnp.asarray(labels), jnp.asarray(weights)


class ClassShardedTest(chex.TestCase):
  @parameterized.product(
    num_identities=(16, 13, 3), margin=('arcface', 'cosface')
  )
  def test_equals_the_dense_loss_on_a_4x2_mesh(self, num_identities, margin):
    mesh = mesh_lib.make_mesh(4, 2)
    rows = class_sharded.padded_rows(num_identities, mesh.size)
    embeddings, labels, weights = example(num_identities, rows)
    function = functools.partial(margins.MARGINS[margin], scale=10.0)

    def dense(embeddings, weights):
      return classification.margin_cross_entropy(
        embeddings, labels, weights[:num_identities], margin_function=function
      )

    def sharded(embeddings, weights):
      return class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        weights,
        margin_function=function,
        num_identities=num_identities,
        mesh=mesh,
      )

    both = functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    expected = both(dense)(embeddings, weights)
    got = jax.jit(both(sharded))(embeddings, weights)
    chex.assert_trees_all_close(
      jax.device_get(got), jax.device_get(expected), rtol=1e-5, atol=1e-6
    )

  def test_padding_gets_no_gradient(self):
    mesh = mesh_lib.make_mesh(4, 2)
    embeddings, labels, weights = example(13, 16)
    gradient = jax.grad(
      lambda w: class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        w,
        margin_function=margins.arcface,
        num_identities=13,
        mesh=mesh,
      )[0]
    )(weights)
    np.testing.assert_array_equal(gradient[13:], 0)
    self.assertTrue((np.abs(gradient[:13]).sum(1) > 0).all())

  def test_identities_split_over_one_axis_alone(self):
    mesh = mesh_lib.make_mesh(8, 1)
    embeddings, labels, weights = example(16, 16)
    loss, accuracy = class_sharded.margin_cross_entropy(
      embeddings,
      labels,
      weights,
      margin_function=margins.arcface,
      num_identities=16,
      mesh=mesh,
      axes=('data',),
    )
    expected = classification.margin_cross_entropy(
      embeddings, labels, weights, margin_function=margins.arcface
    )
    np.testing.assert_allclose(loss, expected[0], rtol=1e-6)
    self.assertEqual(float(accuracy), float(expected[1]))

  @parameterized.parameters((16, 8, 16), (13, 8, 16), (1, 8, 8), (10, 1, 10))
  def test_padded_rows(self, identities, shards, rows):
    self.assertEqual(class_sharded.padded_rows(identities, shards), rows)
