import io
import os
import pathlib
import pickle
import shutil
import struct
import tempfile
import threading
from unittest import mock

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.data import record_file, recordio
from facejax.data.record_file import RecordFile
from facejax.errors import DataError

MAGIC = b'\x0a\x23\xd7\xce'
# Payloads in which the magic is likely, at multiples of 4 and elsewhere.
PAYLOADS = st.lists(
  st.one_of(st.just(MAGIC), st.binary(max_size=6), st.just(MAGIC[:2])),
  max_size=12,
).map(b''.join)


def write(path, payloads, keys=None):
  """A `.rec`, and its `.idx` if there are keys; returns the offsets."""
  offsets = []
  with open(path, 'wb') as file:
    for payload in payloads:
      offsets.append(file.tell())
      recordio.write_record(file, payload)
  if keys is not None:
    write_index(path, zip(keys, offsets, strict=True))
  return offsets


def write_index(path, rows):
  path.with_suffix('.idx').write_text(
    ''.join(f'{key}\t{offset}\n' for key, offset in rows)
  )


class RecordFileTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.root / 'train.rec'

  def write(self, payloads, keys=None):
    return write(self.path, payloads, keys)

  def faces(self, count, keys=None):
    """Records of `count` faces, key 0 first."""
    keys = range(count) if keys is None else keys
    return self.write(
      [recordio.pack(key % 3, key, bytes([key]) * (5 + key)) for key in keys],
      keys,
    )

  @settings(deadline=None, max_examples=150)
  @given(st.lists(PAYLOADS, min_size=1, max_size=8), st.randoms())
  def test_round_trip_with_and_without_an_index(self, payloads, random):
    index = self.path.with_suffix('.idx')
    index.unlink(missing_ok=True)
    offsets = self.write(payloads)
    walked = RecordFile(self.path)
    self.assertEqual(walked.offsets.tolist(), offsets)
    self.assertEqual([walked.read(i) for i in range(len(walked))], payloads)
    order = list(range(len(payloads)))
    random.shuffle(order)
    write_index(self.path, [(100 - i, offsets[i]) for i in order])
    indexed = RecordFile(self.path)
    self.assertEqual(indexed.keys.tolist(), [100 - i for i in order])
    self.assertEqual(
      [indexed.read(i) for i in range(len(payloads))],
      [payloads[i] for i in order],
    )

  @settings(deadline=None, max_examples=100)
  @given(
    st.lists(
      st.tuples(st.floats(width=32), st.integers(0, 2**63 - 1), PAYLOADS),
      min_size=1,
      max_size=8,
    )
  )
  def test_heads_say_what_the_payloads_do(self, faces):
    self.path.with_suffix('.idx').unlink(missing_ok=True)
    payloads = [recordio.pack(*face) for face in faces]
    offsets = self.write(payloads)
    file = RecordFile(self.path)
    if len({key for _, key, _ in faces}) == len(faces):
      self.assertEqual(file.keys.tolist(), [key for _, key, _ in faces])
    else:
      self.assertEqual(file.keys.tolist(), list(range(len(faces))))
    ((rows, heads, taken),) = file.heads()
    self.assertEqual(rows.tolist(), list(range(len(faces))))
    self.assertEqual(heads['length'].tolist(), [len(p) for p in payloads])
    self.assertTrue((heads['magic'] == recordio.MAGIC).all())
    self.assertEqual(taken.tolist(), np.diff([*offsets, file.size]).tolist())
    for head, payload in zip(heads, payloads, strict=True):
      self.assertEqual(head['flag'].tobytes(), payload[:4])
      self.assertEqual(head['label'].tobytes(), payload[4:8])
      self.assertEqual(head['id'].tobytes(), payload[8:16])

  @settings(deadline=None, max_examples=200)
  @given(st.data())
  def test_damage_raises_nothing_but_a_data_error(self, data):
    self.path.with_suffix('.idx').unlink(missing_ok=True)
    payloads = data.draw(st.lists(PAYLOADS, min_size=1, max_size=6))
    offsets = self.write(
      [recordio.pack(1, i, p) for i, p in enumerate(payloads)]
    )
    content = bytearray(self.path.read_bytes())
    del content[data.draw(st.integers(0, len(content))) :]
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
      place = data.draw(st.integers(0, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255))
    self.path.write_bytes(content)
    if data.draw(st.booleans()):
      write_index(self.path, enumerate(offsets))
    try:
      file = RecordFile(self.path)
      list(file.heads())
    except DataError:
      return
    for record in range(len(file)):
      try:
        file.read(record)
      except DataError as error:
        self.assertIn(str(self.path), str(error))

  def test_large_files_are_read_in_windows(self):
    payloads = [recordio.pack(i, i, bytes(i * 37 % 5000)) for i in range(600)]
    offsets = self.write(payloads)
    self.assertGreater(offsets[-1], 1 << 20)
    with mock.patch.object(record_file, '_CHUNK', 250):
      parts = list(RecordFile(self.path).heads())
    self.assertEqual([len(rows) for rows, _, _ in parts], [250, 250, 100])
    heads = np.concatenate([heads for _, heads, _ in parts])
    np.testing.assert_array_equal(heads['label'], np.arange(600))
    np.testing.assert_array_equal(heads['id'], np.arange(600))
    self.assertEqual(heads['length'].tolist(), [len(p) for p in payloads])

  def test_a_file_reads_alike_from_many_threads_and_after_pickling(self):
    self.faces(40)
    file = pickle.loads(pickle.dumps(RecordFile(self.path)))
    expected = [file.read(record) for record in range(40)]
    wrong = []

    def read_all():
      wrong.extend(r for r in range(40) if file.read(r) != expected[r])

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(wrong, [])

  def test_without_an_index_repeated_ids_give_way_to_numbers(self):
    self.write([recordio.pack(i, 7, b'image') for i in range(3)])
    file = RecordFile(self.path)
    self.assertEqual(file.keys.tolist(), [0, 1, 2])
    self.assertFalse(file.keys_are_ids)
    self.write([recordio.pack(i, 7 - i, b'image') for i in range(3)])
    self.assertEqual(RecordFile(self.path).keys.tolist(), [7, 6, 5])

  def test_without_an_index_damage_tells_how_far_it_was_readable(self):
    offsets = self.faces(5)
    self.path.with_suffix('.idx').unlink()
    content = bytearray(self.path.read_bytes())
    content[offsets[3]] ^= 1
    self.path.write_bytes(content)
    with self.assertRaisesRegex(
      DataError,
      rf'readable up to byte {offsets[3]} of {len(content)} \(3 records\)',
    ):
      RecordFile(self.path)
    self.path.write_bytes(content[: offsets[2] + 38])
    with self.assertRaisesRegex(DataError, rf'byte {offsets[2]} of .* \(2 rec'):
      RecordFile(self.path)

  def test_with_an_index_a_damaged_record_leaves_the_others_readable(self):
    offsets = self.faces(5)
    content = bytearray(self.path.read_bytes())
    content[offsets[3]] ^= 1
    self.path.write_bytes(content)
    file = RecordFile(self.path)
    ((_, heads, _),) = file.heads()
    self.assertEqual((heads['magic'] != 0).tolist(), [1, 1, 1, 0, 1])
    self.assertEqual(file.read(4)[24:], bytes([4]) * 9)
    with self.assertRaisesRegex(DataError, f'no record at byte {offsets[3]}'):
      file.read(3)

  def test_a_part_that_is_missing_is_named(self):
    self.write([b'abcd' + MAGIC + b'e', b'next'])
    content = bytearray(self.path.read_bytes())
    content[12:16] = b'\0' * 4
    self.path.write_bytes(content)
    write_index(self.path, [(0, 0), (1, 24)])
    with self.assertRaisesRegex(DataError, 'its part at byte 12 is missing'):
      RecordFile(self.path).read(0)

  @parameterized.parameters(
    ('0\t0\n1\n', r"line 2: expected 'KEY<tab>BYTE', found b'1"),
    ('0\t0\n1\t2\t3\n', 'line 2'),
    ('0\t0\n1\tx\n', 'line 2'),
    ('0\t0\n1\t99999999999999999999\n', 'line 2'),
    ('', 'is empty; delete it'),
    ('0\t0\n0\t40\n', 'key 0 stands there twice'),
    ('0\t0\n1\t0\n', 'byte 0 stands there twice'),
    ('0\t0\n1\t30\n', 'key 1 points to byte 30, where no record can begin'),
    ('0\t0\n1\t-4\n', 'key 1 points to byte -4, where no record can begin'),
    ('0\t0\n1\t4000\n2\t8000\n',
     r'2 of 3 rows point past the end .*key 1: byte 4000'),
  )  # fmt: skip
  def test_an_index_that_cannot_be_this_files_is_refused(self, text, message):
    self.faces(5)
    self.path.with_suffix('.idx').write_text(text)
    with self.assertRaisesRegex(DataError, message):
      RecordFile(self.path)

  def test_missing_and_empty_files_say_so(self):
    with self.assertRaisesRegex(DataError, 'train.rec does not exist'):
      RecordFile(self.path)
    self.path.write_bytes(b'')
    with self.assertRaisesRegex(DataError, 'is empty'):
      RecordFile(self.path)
    self.path.write_bytes(b'JFIF' * 10)
    with self.assertRaisesRegex(DataError, 'up to byte 0 of 40'):
      RecordFile(self.path)


@pytest.mark.parametrize('name', ['mxnet_insightface', 'adaface_8faces'])
def test_files_by_others_read_alike_with_and_without_index(
  shared, tmp_path, name
):
  source = os.path.join(shared, 'recordio', name, 'train.rec')
  shutil.copy(source, tmp_path / 'bare.rec')
  indexed, bare = RecordFile(source), RecordFile(tmp_path / 'bare.rec')
  assert len(indexed) == {'mxnet_insightface': 85, 'adaface_8faces': 8}[name]
  np.testing.assert_array_equal(indexed.keys, bare.keys)
  np.testing.assert_array_equal(indexed.offsets, bare.offsets)
  again = io.BytesIO()
  for record in range(len(bare)):
    (payload,) = {indexed.read(record), bare.read(record)}
    labels, key, image = recordio.unpack(payload, where=name)
    labels = labels if struct.unpack('<I', payload[:4])[0] else labels[0]
    assert recordio.pack(labels, key, image) == payload
    recordio.write_record(again, payload)
  assert again.getvalue() == pathlib.Path(source).read_bytes()


if __name__ == '__main__':
  absltest.main()
