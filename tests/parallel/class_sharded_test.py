"""The class-sharded loss is the dense loss, in value and in gradient."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import classification
from facejax.losses.margin_loss import make_margin_loss
from facejax.losses.margins import MARGINS
from facejax.parallel import class_sharded
from facejax.parallel import mesh as mesh_lib

BATCH, SIZE = 16, 8


def example(num_identities, rows, margin_loss, seed=0):
  """Embeddings, labels, the head's parameters and the loss's statistics."""
  generator = np.random.default_rng((num_identities, seed))
  embeddings = generator.normal(size=(BATCH, SIZE))
  count = margin_loss.sub_centers
  shape = (rows, *([count] if count > 1 else []), SIZE)
  head = {'class_weights': generator.normal(size=shape)}
  for name, value in margin_loss.init_params(rows).items():
    head[name] = value + generator.normal(size=value.shape) / 10
  labels = generator.integers(0, num_identities, BATCH)
  return (
    jnp.asarray(embeddings, jnp.float32),
    jnp.asarray(labels, jnp.int32),
    {name: jnp.asarray(x, jnp.float32) for name, x in head.items()},
    margin_loss.init_stats(),
  )


def cut(head, num_identities):
  """The head without the rows that pad it."""
  return {n: x[:num_identities] if x.ndim else x for n, x in head.items()}


def both(function):
  return functools.partial(jax.value_and_grad, has_aux=True, argnums=(0, 1))(
    function
  )


class ClassShardedTest(chex.TestCase):
  def _assert_equals_dense(self, mesh, axes, num_identities, margin_loss):
    shards = mesh_lib.num_shards(mesh, axes)
    rows = class_sharded.padded_rows(num_identities, shards)
    embeddings, labels, head, stats = example(num_identities, rows, margin_loss)

    def dense(embeddings, head):
      return classification.margin_cross_entropy(
        embeddings,
        labels,
        cut(head, num_identities),
        margin_loss=margin_loss,
        stats=stats,
        step=3,
      )

    def sharded(embeddings, head):
      return class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        head,
        margin_loss=margin_loss,
        num_identities=num_identities,
        mesh=mesh,
        axes=axes,
        stats=stats,
        step=3,
      )

    expected = both(dense)(embeddings, head)
    got = jax.jit(both(sharded))(embeddings, head)
    chex.assert_trees_all_close(
      jax.device_get(got), jax.device_get(expected), rtol=2e-5, atol=2e-6
    )

  @parameterized.parameters(*MARGINS)
  def test_every_loss_equals_the_dense_one_on_a_4x2_mesh(self, name):
    mesh = mesh_lib.make_mesh(4, 2)
    self._assert_equals_dense(mesh, mesh_lib.AXES, 13, make_margin_loss(name))

  @parameterized.parameters(
    (10, ('data', 'model')),
    (3, ('model', 'data')),
    (10, ('data',)),
    (16, ('model',)),
  )
  def test_over_any_axes_and_any_number_of_identities(
    self, num_identities, axes
  ):
    mesh = mesh_lib.make_mesh(4, 2)
    margin_loss = make_margin_loss('arcface', scale=10.0)
    self._assert_equals_dense(mesh, axes, num_identities, margin_loss)

  def test_with_filtered_classes(self):
    margin_loss = make_margin_loss('cosface', filter_threshold=0.2)
    mesh = mesh_lib.make_mesh(4, 2)
    self._assert_equals_dense(mesh, mesh_lib.AXES, 13, margin_loss)

  @parameterized.parameters('arcface', 'softmax', 'sub_center_arcface')
  def test_padding_gets_no_gradient(self, name):
    margin_loss = make_margin_loss(name)
    mesh = mesh_lib.make_mesh(4, 2)
    embeddings, labels, head, stats = example(13, 16, margin_loss)

    def loss(head):
      return class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        head,
        margin_loss=margin_loss,
        num_identities=13,
        mesh=mesh,
        stats=stats,
      )[0]

    for name, leaf in jax.jit(jax.grad(loss))(head).items():
      np.testing.assert_array_equal(leaf[13:], 0, name)
      self.assertTrue((np.abs(leaf[:13]).reshape(13, -1).sum(1) > 0).all())

  @parameterized.parameters((16, 8, 16), (13, 8, 16), (1, 8, 8), (10, 1, 10))
  def test_padded_rows(self, identities, shards, rows):
    self.assertEqual(class_sharded.padded_rows(identities, shards), rows)
