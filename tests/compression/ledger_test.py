import chex
import jax
import jax.numpy as jnp

from facejax import trees
from facejax.compression import packed
from facejax.compression.ledger import Row, make_ledger


class LedgerTest(chex.TestCase):
  def test_rows_by_hand(self):
    # 5 rows of 27 codes: 135 codes in 34 bytes, 10 words of 4 bytes.
    params = {'conv': {'kernel': jnp.ones((3, 3, 3, 5)), 'bias': jnp.ones(5)}}
    ledger = make_ledger(packed.pack_tree_jit(params, [('.*kernel', 'filter')]))
    self.assertEqual(
      ledger.rows,
      (
        Row('conv/bias', 'float', 20, 5),
        Row('conv/kernel', 'codes', 34, 135),
        Row('conv/kernel', 'padding', 6),
        Row('conv/kernel', 'alphas', 20),
      ),
    )
    self.assertEqual(
      ledger.totals,
      {'codes': 34, 'padding': 6, 'alphas': 20, 'float': 20, 'total': 80},
    )
    self.assertEqual(
      ledger.bits_per_weight, {'codes': 320 / 135, 'all': 640 / 140}
    )

  def test_the_rows_sum_to_the_arrays_bytes(self):
    params = {
      'a': {'kernel': jax.random.normal(jax.random.key(0), (1, 1, 64, 32))},
      'b': {'kernel': jax.random.normal(jax.random.key(1), (3, 3, 1, 7))},
    }
    tree = packed.pack_tree_jit(params, [('.*kernel', 'tensor')])
    ledger = make_ledger(tree)
    self.assertEqual(ledger.totals['total'], trees.byte_count(tree))
    self.assertEqual(sum(row.bytes for row in ledger.rows), 512 + 16 + 8)

  def test_a_float_tree_is_all_float(self):
    ledger = make_ledger({'w': jnp.ones((3, 5))})
    self.assertEqual(ledger.totals['total'], 60)
    self.assertEqual(ledger.bits_per_weight, {'codes': None, 'all': 32.0})
