"""What one call of a pass keeps, by hand, and the memory that it takes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from facejax.evaluation.scoring import keys, scan
from facejax.evaluation.scoring.scan import TILE_ROWS, Columns, Keep, Rows
from facejax.parallel.mesh import make_mesh

MIB = 1 << 20


def one_device():
  return make_mesh(devices=jax.devices()[:1])


def class_of(score):
  return int(keys.classes(jnp.float32(score)))


def by_hand(*, triangle, first=0):
  """Four images of the people 0 0 1 2 with one feature."""
  features = np.array([[1.0], [0.5], [2.0], [-1.0]])
  labels = np.array([0, 0, 1, 2])
  rows = Rows(*scan.pad_rows(features, labels, TILE_ROWS))
  columns = Columns(*scan.pad_rows(features, labels, 64), np.int32(first))
  wanted = np.array([class_of(2.0), -1], np.int32)
  return scan.scan(
    rows,
    columns,
    np.float32(1.0),
    wanted,
    mesh=one_device(),
    keep=Keep(counts=True, tail=4096, best=2),
    triangle=triangle,
  )


class ScanTest(chex.TestCase):
  def check_counts(self, counts, expected):
    self.assertEqual(counts.sum(), sum(expected.values()))
    for score, count in expected.items():
      self.assertEqual(counts[class_of(score)], count, msg=score)

  def test_each_pair_of_people_counts_once_in_a_triangle(self):
    kept = jax.tree.map(lambda leaf: leaf[0], by_hand(triangle=True))
    # Images 0 2, 0 3, 1 2, 1 3, 2 3; not 0 1, who are one person.
    self.check_counts(
      kept['counts'], {2.0: 1, -1.0: 1, 1.0: 1, -0.5: 1, -2.0: 1}
    )
    np.testing.assert_array_equal(
      kept['best'][:4],
      [[2, -1], [1, -0.5], [-2, -np.inf], [-np.inf, -np.inf]],
    )
    # The scores 2 and 1 reach the floor: one group of 64 in two rows.
    self.assertEqual(kept['tail']['count'], 2)
    np.testing.assert_array_equal(kept['tail']['place'][:2], [[0, 0], [1, 0]])

  def test_every_row_meets_every_column_of_another_set(self):
    kept = jax.tree.map(lambda leaf: leaf[0], by_hand(triangle=False))
    self.check_counts(
      kept['counts'], {2.0: 2, -1.0: 2, 1.0: 2, -0.5: 2, -2.0: 2}
    )
    np.testing.assert_array_equal(
      kept['best'][:4], [[2, -1], [1, -0.5], [2, 1], [-0.5, -1]]
    )

  def test_single_values_are_counted_in_the_wanted_classes_alone(self):
    kept = by_hand(triangle=False)
    (bits,) = np.flatnonzero(kept['values'][0, 0])
    self.assertEqual(kept['values'].sum(), 2)
    key = (class_of(2.0) << keys.VALUE_BITS) + bits
    np.testing.assert_array_equal(
      keys.scores_of_keys(np.array([key], np.uint32)), [2]
    )

  def test_columns_in_front_of_the_rows_pair_with_none(self):
    # The same columns as images 512 and on: all rows stand before them.
    counts = by_hand(triangle=True, first=TILE_ROWS)['counts']
    self.assertEqual(counts.sum(), 10)

  def test_memory_does_not_grow_with_the_scores(self):
    def temporary(num_rows):
      arrays = (
        Rows(
          jax.ShapeDtypeStruct((num_rows, 128), jnp.float32),
          jax.ShapeDtypeStruct((num_rows,), jnp.int32),
        ),
        Columns(
          jax.ShapeDtypeStruct((1024, 128), jnp.float32),
          jax.ShapeDtypeStruct((1024,), jnp.int32),
          jax.ShapeDtypeStruct((), jnp.int32),
        ),
        jax.ShapeDtypeStruct((), jnp.float32),
        jax.ShapeDtypeStruct((0,), jnp.int32),
      )
      found = scan.scan.lower(
        *arrays,
        mesh=one_device(),
        keep=Keep(counts=True, tail=4096),
        triangle=True,
      ).compile()
      memory = found.memory_analysis()
      return memory.temp_size_in_bytes + memory.output_size_in_bytes

    # 2^17 rows have half a GiB of scores with 1,024 columns; a tile has 2 MiB.
    few, many = temporary(TILE_ROWS), temporary(1 << 17)
    self.assertLess(many, 24 * MIB)
    self.assertLess(many - few, MIB)


if __name__ == '__main__':
  absltest.main()
