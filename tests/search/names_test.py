"""Names on disk, and finding them."""

import os

import chex
import numpy as np
from absl.testing import absltest
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.search import names as names_lib
from facejax.search.names import KeyTable, StoredNames


def stored(names):
  content, ends = names_lib.encode_names(names)
  return StoredNames(np.frombuffer(content, np.uint8), ends)


class StoredNamesTest(chex.TestCase):
  @settings(max_examples=50, deadline=None)
  @given(st.lists(st.text(st.characters(exclude_categories=['Cs']))), st.data())
  def test_names_come_back_in_any_order(self, names, data):
    found = stored(names)
    self.assertEqual(list(found), names)
    self.assertEqual(found[1:], names[1:])
    places = [
      i for i in range(len(names)) if data.draw(st.booleans(), label='kept')
    ]
    content, lengths = found.encoded(np.array(places, np.int64))
    self.assertEqual(content, b''.join(os.fsencode(names[i]) for i in places))
    self.assertEqual(
      lengths.tolist(), [len(os.fsencode(names[i])) for i in places]
    )

  def test_names_of_no_text_come_back(self):
    name = os.fsdecode(b'M\xfcller/1.jpg')
    self.assertEqual(stored(['a', name])[-1], name)
    with self.assertRaises(IndexError):
      stored(['a'])[1]

  def test_keys_are_those_of_b2sum(self):
    # b2sum -l 64, its bytes taken as a little-endian number.
    self.assertEqual(
      names_lib.name_keys(['', 'Aaron/1.jpg']).tolist(),
      [13020603013274838756, 85793662246236285],
    )


class KeyTableTest(chex.TestCase):
  @settings(max_examples=50, deadline=None)
  @given(st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=12))
  def test_all_places_are_found_whatever_was_merged(self, parts):
    first, *more = parts or [[]]
    table = KeyTable(np.array(first, np.uint64))
    together = list(first)
    with self.settings_of_merging():
      for part in more:
        table.append(np.array(part, np.uint64))
        together += part
    self.assertLen(table, len(together))
    for key, places in enumerate(table.find(np.arange(11, dtype=np.uint64))):
      wanted = [i for i, other in enumerate(together) if other == key]
      self.assertEqual(places, wanted)

  def settings_of_merging(self):
    from unittest import mock

    return mock.patch.object(names_lib, '_RECENT', 5)


if __name__ == '__main__':
  absltest.main()
