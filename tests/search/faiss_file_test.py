"""Files of faiss, to the byte."""

import os
import struct

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.search import faiss_file
from tests.search import small_index

# What faiss 1.15 writes for three codes of 24 bits.
GOLDEN = (
  b'IBxF\x18\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01'
  b'\x01\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06'
  b'\x07\x08'
)
CODES = np.arange(9, dtype=np.uint8).reshape(3, 3)


class FaissFileTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    self.file = os.path.join(self.root, 'codes.faiss')

  def write(self, content):
    with open(self.file, 'wb') as file:
      file.write(content)

  def test_a_file_is_what_faiss_writes(self):
    faiss_file.write_codes(self.file, CODES)
    with open(self.file, 'rb') as file:
      self.assertEqual(file.read(), GOLDEN)
    np.testing.assert_array_equal(faiss_file.read_codes(self.file), CODES)
    faiss_file.write_codes(self.file, CODES[:0])
    self.assertEqual(faiss_file.read_codes(self.file).shape, (0, 3))

  def test_faiss_reads_ours_and_we_read_its(self):
    faiss = pytest.importorskip('faiss')
    codes = np.random.default_rng(0).integers(0, 256, (50, 16), np.uint8)
    faiss_file.write_codes(self.file, codes)
    theirs = faiss.read_index_binary(self.file)
    self.assertEqual((theirs.ntotal, theirs.d), (50, 128))
    distances, rows = theirs.search(codes[:5], 1)
    np.testing.assert_array_equal(rows[:, 0], range(5))
    np.testing.assert_array_equal(distances, 0)
    theirs.add(codes[:7])
    faiss.write_index_binary(theirs, self.file)
    np.testing.assert_array_equal(
      faiss_file.read_codes(self.file), np.concatenate([codes, codes[:7]])
    )
    faiss.write_index_binary(faiss.IndexBinaryHNSW(128), self.file)
    with self.assertRaisesRegex(DataError, "b'IBHf'"):
      faiss_file.read_codes(self.file)

  @parameterized.parameters(
    (b'', "begins with b''"),
    (GOLDEN[:20], 'within its header'),
    (GOLDEN[:-1], 'has 41 bytes, its header says 42'),
    (GOLDEN + b'x', 'has 43 bytes'),
    (b'IBwF' + GOLDEN[4:], "begins with b'IBwF'"),
    (struct.pack('<4si', b'IBxF', 25) + GOLDEN[8:], '25 bits'),
    (struct.pack('<4sii', b'IBxF', 24, 4) + GOLDEN[12:], '24 bits in 4 bytes'),
    (struct.pack('<4siiq', b'IBxF', 24, 3, 1 << 60) + GOLDEN[20:], '9 bytes'),
    (struct.pack('<4siiq', b'IBxF', 24, 3, -1) + GOLDEN[20:], '-1 codes'),
    (GOLDEN[:20] + b'\x00' + GOLDEN[21:], 'its header says'),
  )
  def test_a_file_that_cannot_be_is_refused(self, content, message):
    self.write(content)
    with self.assertRaisesRegex(DataError, message):
      faiss_file.read_codes(self.file)

  def test_a_missing_file_is_said(self):
    with self.assertRaisesRegex(DataError, 'No such file'):
      faiss_file.read_codes(self.file)

  def test_an_index_goes_to_faiss_and_comes_back_with_its_names(self):
    index = small_index.create(os.path.join(self.root, 'a'), 9)
    self.addCleanup(index.close)
    index.remove(names=[small_index.names(9)[4]])
    self.assertEqual(faiss_file.export_index(index, self.file), 8)
    with faiss_file.import_index(
      self.file, os.path.join(self.root, 'b')
    ) as back:
      self.assertLen(back, 8)
      self.assertEqual((back.vectors, back.bits), ('none', 32))
      wanted = small_index.names(9)
      del wanted[4]
      self.assertEqual(list(back.snapshot.names), wanted)
      self.assertEqual(back.num_people, 3)
      probes = small_index.probes(small_index.unit_vectors(9))
      self.assertEqual(
        back.search(probes, top_k=2).names,
        index.search(probes, top_k=2, method='hamming').names,
      )

  def test_without_names_the_numbers_of_faiss_are_names(self):
    self.write(GOLDEN)
    with faiss_file.import_index(
      self.file, os.path.join(self.root, 'b')
    ) as index:
      self.assertEqual(list(index.snapshot.people), ['0', '1', '2'])
      np.testing.assert_array_equal(index.snapshot.codes, CODES)

  def test_names_that_do_not_fit_are_refused_and_nothing_is_made(self):
    self.write(GOLDEN)
    output = os.path.join(self.root, 'b')
    for text in ('a\tp\n', 'a\tp\nb\nc\tp\n'):
      with open(self.file + '.names', 'w') as file:
        file.write(text)
      with self.assertRaisesRegex(DataError, 'expected 3 lines'):
        faiss_file.import_index(self.file, output)
    self.assertFalse(os.path.exists(output))

  def test_an_index_without_codes_is_refused(self):
    index = small_index.create(os.path.join(self.root, 'a'), 3, bits=0)
    self.addCleanup(index.close)
    with self.assertRaisesRegex(UsageError, 'launch.add_hash'):
      faiss_file.export_index(index, self.file)


if __name__ == '__main__':
  absltest.main()
