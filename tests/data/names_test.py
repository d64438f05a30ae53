import pickle
import sys

import chex
from absl.testing import absltest
from hypothesis import given
from hypothesis import strategies as st

from facejax.data.names import NameTable

NAMES = ['ann', '', 'Zoë', 'a/b.jpg', '\udcff.jpg']


class NameTableTest(chex.TestCase):
  def test_names_come_back_in_order_whatever_their_bytes(self):
    table = NameTable.of(iter(NAMES))
    self.assertEqual(list(table), NAMES)
    self.assertEqual([table[i] for i in range(-5, 5)], NAMES * 2)
    self.assertEqual(table[1:4:2], ['', 'a/b.jpg'])
    self.assertEqual(table, NAMES)
    self.assertNotEqual(table, NAMES[:-1])
    self.assertEqual(list(pickle.loads(pickle.dumps(table))), NAMES)
    for place in (5, -6):
      with self.assertRaises(IndexError):
        table[place]

  @given(
    st.lists(st.text(st.characters(codec='utf-8', exclude_characters='\n')))
  )
  def test_lines_round_trip(self, names):
    table = NameTable.of(names)
    text = table.to_lines()
    self.assertEqual(text.decode(), ''.join(f'{name}\n' for name in names))
    self.assertEqual(list(NameTable.from_lines(text)), names)

  def test_a_name_costs_its_bytes_and_eight_more(self):
    table = NameTable.of(f'{i:08d}' for i in range(10_000))
    size = sys.getsizeof(table._blob) + table._ends.nbytes
    self.assertLess(size, 10_000 * 16 + 1000)


if __name__ == '__main__':
  absltest.main()
