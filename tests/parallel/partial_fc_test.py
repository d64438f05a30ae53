"""Partial FC: what is sampled, what is read, and what crosses the mesh."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import classification
from facejax.losses.margin_loss import make_margin_loss
from facejax.parallel import class_sharded, partial_fc
from facejax.parallel import mesh as mesh_lib
from tests.parallel.class_sharded_test import both, cut, example

IDENTITIES, SHARD_ROWS = 90, 12  # six rows pad the last of eight shards
MANY = 250  # more than are sampled at the rate of 0.6


@functools.cache
def _sampler(mesh, rate, axes, num_identities):
  shards = mesh_lib.num_shards(mesh, axes)
  rows = class_sharded.padded_rows(num_identities, shards) // shards
  return rows, jax.jit(
    lambda labels, key: partial_fc.sample_rows(
      labels,
      key,
      rate=rate,
      num_identities=num_identities,
      shard_rows=rows,
      mesh=mesh,
      axes=axes,
    )
  )


def _sample(
  labels, mesh, *, rate, seed=0, axes=mesh_lib.AXES, count=IDENTITIES
):
  """The sample, and the identities of each shard."""
  rows, sampler = _sampler(mesh, rate, axes, count)
  sampled = sampler(jnp.asarray(labels, jnp.int32), jax.random.key(seed))
  places = np.asarray(sampled).reshape(mesh_lib.num_shards(mesh, axes), -1)
  return sampled, places + rows * np.arange(len(places))[:, None]


class SampleTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh(4, 2)
    self.labels = np.array([0, 1, 1, 13, 13, 77, 89, 5])

  @parameterized.parameters(0.01, 0.3, 0.7, 1.0)
  def test_all_positives_are_in_it_once_and_in_order(self, rate):
    _, identities = _sample(self.labels, self.mesh, rate=rate)
    size = partial_fc.sample_size(rate, SHARD_ROWS, len(self.labels))
    self.assertEqual(identities.shape, (8, size))
    self.assertTrue((np.diff(identities, axis=1) > 0).all())
    self.assertContainsSubset(self.labels, identities.ravel())

  def test_padding_is_drawn_last(self):
    _, identities = _sample(self.labels, self.mesh, rate=0.01)
    # The last shard has six identities and samples eight rows.
    self.assertContainsSubset(range(84, 90), identities[-1])
    self.assertEqual((identities[:-1] >= IDENTITIES).sum(), 0)

  def test_negatives_are_drawn_alike_and_anew_in_every_step(self):
    drawn = np.zeros(96)
    for seed in range(200):
      _, identities = _sample([0], self.mesh, rate=0.5, seed=seed)
      drawn[identities.ravel()] += 1
    self.assertEqual(drawn[0], 200)  # the positive
    others = drawn[1:84] / 200
    # Six of twelve rows a shard; five of eleven where one is the positive.
    self.assertLess(np.abs(others - 0.5).max(), 0.16)
    self.assertBetween(others.mean(), 0.47, 0.52)

  def test_replicas_of_a_shard_draw_the_same(self):
    sampled, identities = _sample(
      self.labels, self.mesh, rate=0.2, axes=('model',)
    )
    self.assertContainsSubset(self.labels, identities.ravel())
    copies = {}
    for part in sampled.addressable_shards:
      copies.setdefault(str(part.index), []).append(np.asarray(part.data))
    self.assertLen(copies, 2)
    for parts in copies.values():
      self.assertLen(parts, 4)
      for part in parts[1:]:
        np.testing.assert_array_equal(part, parts[0])

  @parameterized.parameters(
    (0.1, 1000, 64, 100),
    (0.01, 1000, 64, 64),
    (0.1, 30, 64, 30),
    (1.0, 7, 2, 7),
  )
  def test_its_size_has_room_for_all_positives(self, rate, rows, batch, size):
    self.assertEqual(partial_fc.sample_size(rate, rows, batch), size)

  def test_rows_that_are_taken_and_put_back_are_where_they_were(self):
    sampled, identities = _sample(self.labels, self.mesh, rate=0.3)
    weights = np.arange(96 * 3, dtype=np.float32).reshape(96, 3)
    arrays = {'w': jnp.asarray(weights)}
    rows = partial_fc.take_rows(arrays, sampled, mesh=self.mesh)
    np.testing.assert_array_equal(rows['w'], weights[identities.ravel()])
    put = partial_fc.put_rows(
      arrays, {'w': -rows['w']}, sampled, mesh=self.mesh
    )
    weights[identities.ravel()] *= -1
    np.testing.assert_array_equal(put['w'], weights)


class LossTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh(4, 2)

  def _example(self, name):
    loss = make_margin_loss(name)
    return loss, example(MANY, 256, loss)

  @parameterized.parameters('arcface', 'softmax', 'sub_center_arcface')
  def test_it_is_the_dense_loss_of_the_sampled_identities(self, name):
    margin_loss, (embeddings, labels, head, stats) = self._example(name)
    key = jax.random.key(7)

    def sharded(embeddings, head):
      return class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        head,
        margin_loss=margin_loss,
        num_identities=MANY,
        mesh=self.mesh,
        stats=stats,
        sample_rate=0.6,
        key=key,
      )

    got = jax.jit(both(sharded))(embeddings, head)
    chosen = _sample(labels, self.mesh, rate=0.6, seed=7, count=MANY)[1].ravel()
    chosen = np.sort(chosen[chosen < MANY])
    self.assertLess(len(chosen), MANY)

    def dense(embeddings, head):
      return classification.margin_cross_entropy(
        embeddings,
        jnp.searchsorted(chosen, labels),
        {n: x[chosen] if x.ndim else x for n, x in head.items()},
        margin_loss=margin_loss,
        stats=stats,
      )

    expected = both(dense)(embeddings, head)
    chex.assert_trees_all_close(
      jax.device_get(got), jax.device_get(expected), rtol=2e-5, atol=2e-6
    )

  def test_at_rate_one_it_is_exact(self):
    margin_loss, (embeddings, labels, head, _) = self._example('arcface')
    sharded = jax.jit(
      lambda: class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        head,
        margin_loss=margin_loss,
        num_identities=MANY,
        mesh=self.mesh,
        sample_rate=1.0,
      )
    )
    expected = classification.margin_cross_entropy(
      embeddings, labels, cut(head, MANY), margin_loss=margin_loss
    )
    chex.assert_trees_all_close(sharded(), expected, rtol=1e-5)


_COLLECTIVE = re.compile(
  r'= (.*?) (all-gather|all-reduce|reduce-scatter|all-to-all|'
  r'collective-permute|collective-broadcast)(?:-start)?\('
)
_BYTES = {'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'pred': 1}


def collectives(text):
  """(operation, elements, bytes of an element) of each in compiled HLO.

  Of a reduce-scatter the whole that it sums counts, not one shard's part.
  """
  found = []
  for result, operation in _COLLECTIVE.findall(text):
    for kind, shape in re.findall(r'(\w+)\[([\d,]*)\]', result):
      sides = [int(side) for side in shape.split(',') if side]
      parts = 8 if operation == 'reduce-scatter' else 1
      found.append((operation, int(np.prod(sides)) * parts, _BYTES[kind]))
  return found


class TrafficTest(chex.TestCase):
  """Read off the compiled program; docs/scaling.md has the formula."""

  def _collectives(self, *, batch, size, identities, rate):
    mesh = mesh_lib.make_mesh(4, 2)
    margin_loss = make_margin_loss('arcface')
    rows = class_sharded.padded_rows(identities, 8)

    def loss(embeddings, head, labels, key):
      return class_sharded.margin_cross_entropy(
        embeddings,
        labels,
        head,
        margin_loss=margin_loss,
        num_identities=identities,
        mesh=mesh,
        sample_rate=rate,
        key=key,
      )

    split = mesh_lib.batch_sharding(mesh)
    head = {'class_weights': jax.ShapeDtypeStruct((rows, size), jnp.float32)}
    step = jax.jit(
      jax.value_and_grad(loss, argnums=(0, 1), has_aux=True),
      in_shardings=(split, split, split, None),
      out_shardings=((None, None), (split, split)),
    )
    compiled = step.lower(
      jax.ShapeDtypeStruct((batch, size), jnp.float32),
      head,
      jax.ShapeDtypeStruct((batch,), jnp.int32),
      jax.random.key(0),
    ).compile()
    return collectives(compiled.as_text())

  @parameterized.product(rate=(1.0, 0.1), identities=(1000, 100_003))
  def test_logits_and_class_weights_never_cross_the_mesh(
    self, rate, identities
  ):
    batch, size = 64, 32
    found = self._collectives(
      batch=batch, size=size, identities=identities, rate=rate
    )
    largest = max(elements for _, elements, _ in found)
    self.assertLessEqual(largest, batch * (size + 4))
    # Embeddings out, their gradient back, and of each row its label, two
    # maxima and three sums; a sample gathers the labels once more.
    names = [name for name, elements, _ in found if elements > 6 * batch]
    self.assertCountEqual(names, ['all-gather', 'reduce-scatter'])

  @parameterized.parameters(1.0, 0.1)
  def test_the_bytes_are_those_of_the_formula(self, rate):
    batch, size = 64, 32
    found = self._collectives(
      batch=batch, size=size, identities=1000, rate=rate
    )
    moved = sum(elements * width for _, elements, width in found)
    expected = class_sharded.bytes_exchanged(batch, size, sampled=rate < 1)
    self.assertEqual(moved, expected)
