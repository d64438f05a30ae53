import os
import pathlib
import struct
import tempfile

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import recordio
from facejax.data.record_file import RecordFile
from facejax.data.recordio_faces import read_faces
from facejax.data.recordio_writing import write_recordio
from facejax.errors import DataError, UsageError

FACES = [(0, b'a0'), (0, b'a1'), (3, b'b0'), (1, b'c0'), (1, b'c1')]


def read(file, table):
  """(label, image) of every face."""
  images = (
    recordio.unpack(file.read(int(record)), where='x')[2]
    for record in table.images
  )
  return list(zip(table.labels.tolist(), images, strict=True))


class RecordIOFacesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.folder = self.root / 'set'

  def write(self, faces=FACES, **kwargs):
    write_recordio(self.folder, faces, **kwargs)
    return self.folder / 'train.rec'

  def records(self, *payloads, keys=None):
    """A file of given payloads, whose keys are their numbers."""
    self.folder.mkdir()
    path = self.folder / 'train.rec'
    rows = []
    with path.open('wb') as file:
      for key, payload in zip(
        keys or range(len(payloads)), payloads, strict=True
      ):
        rows.append(f'{key}\t{file.tell()}\n')
        recordio.write_record(file, payload)
    path.with_suffix('.idx').write_text(''.join(rows))
    return path

  @parameterized.parameters(
    *((layout, index) for layout in (True, False) for index in (True, False))
  )
  def test_faces_come_back_whatever_layout_and_index(self, layout, index):
    path = self.write(insightface=layout)
    if not index:
      path.with_suffix('.idx').unlink()
    file = RecordFile(path)
    table = read_faces(file)
    self.assertEqual(read(file, table), FACES)
    self.assertEqual(
      file.keys[table.images].tolist(), [i + layout for i in range(5)]
    )
    expected = {
      'index_rows': (9 if layout else 5) if index else None,
      'records': 9 if layout else 5,
      'images': 5,
      'identity_records': 3 if layout else 0,
      'corrupt_records': 0,
      'distinct_labels': 3,
      'header_range': [6, 9] if layout else None,
      'property': [3, 112, 112],
      'notes': [],
    }
    self.assertEqual(table.claims, expected)

  def test_identity_records_and_the_header_are_as_insightface_reads_them(self):
    file = RecordFile(self.write())
    payloads = dict(
      zip(file.keys.tolist(), map(file.read, range(9)), strict=True)
    )
    self.assertEqual(file.keys.tolist(), [*range(1, 9), 0])
    for key, labels in ((0, (6, 9)), (6, (1, 3)), (7, (3, 4)), (8, (4, 6))):
      self.assertEqual(
        payloads[key], struct.pack('<IfQQ2f', 2, 0, key, 0, *labels)
      )

  def test_no_number_is_taken_from_a_range(self):
    # Above 2 ** 24 the ranges of InsightFace's own files are off by one.
    path = self.records(
      *(recordio.pack(label, 1, b'x') for label in (5, 5, 2)),
      recordio.pack((1.0, 3.0), 0, b''),
      recordio.pack((16777216.0, 16777220.0), 0, b''),
      keys=[1, 2, 3, 4, 0],
    )
    table = read_faces(RecordFile(path))
    self.assertEqual(table.labels.tolist(), [5, 5, 2])
    self.assertEqual(table.images.tolist(), [0, 1, 2])
    self.assertEqual(
      table.claims['notes'],
      [
        'the header claims 1.67772e+07 images',
        'the header claims 4 identities',
        'ranges in float32 are not exact above 16777216 keys',
        '1 identity records, 2 distinct labels',
      ],
    )

  def test_vector_labels_use_their_first_number(self):
    path = self.records(
      recordio.pack((4.0, 99.5), 0, b'x'), recordio.pack((7.0, -1.0), 1, b'y')
    )
    table = read_faces(RecordFile(path))
    self.assertEqual(table.labels.tolist(), [4, 7])
    self.assertIsNone(table.claims['header_range'])

  def test_where_key_0_is_an_image_every_key_is(self):
    path = self.records(
      recordio.pack(4, 0, b'x'), recordio.pack((7.0, 9.0), 1, b'')
    )
    self.assertEqual(read_faces(RecordFile(path)).labels.tolist(), [4, 7])

  def test_a_header_that_is_missing_leaves_identity_records_aside(self):
    path = self.records(
      recordio.pack(4, 1, b'x'), recordio.pack((1.0, 2.0), 2, b''), keys=[1, 2]
    )
    table = read_faces(RecordFile(path))
    self.assertEqual(table.labels.tolist(), [4])
    self.assertEqual(table.claims['identity_records'], 1)

  @parameterized.parameters(0.5, -1.0, float('nan'), float('inf'), 16777216.0)
  def test_a_label_that_is_no_class_names_its_key(self, label):
    path = self.records(
      recordio.pack(1, 3, b'x'), recordio.pack(label, 8, b'y'), keys=[3, 8]
    )
    with self.assertRaisesRegex(DataError, f'key 8 has the label {label}'):
      read_faces(RecordFile(path))

  def test_a_signalling_nan_is_a_label_like_any_other_that_is_wrong(self):
    nan = b'\x00\x00\x00\x00\x01\x00\x80\x7f' + bytes(16) + b'image'
    path = self.records(recordio.pack(1, 0, b'x'), nan)
    with self.assertRaisesRegex(DataError, 'key 1 has the label nan'):
      read_faces(RecordFile(path))

  def test_a_corrupt_record_is_an_image_without_a_label(self):
    path = self.write()
    content = bytearray(path.read_bytes())
    offset = RecordFile(path).offsets[1]
    content[offset] ^= 1
    path.write_bytes(content)
    table = read_faces(RecordFile(path))
    self.assertEqual(table.labels.tolist(), [0, -1, 3, 1, 1])
    self.assertEqual(table.claims['corrupt_records'], 1)
    self.assertEqual(table.claims['notes'], ['1 records are corrupt'])

  def test_the_index_of_another_file_is_refused(self):
    path = self.write()
    rows = [f'{key}\t{36 + 4 * key}\n' for key in range(9)]
    path.with_suffix('.idx').write_text(''.join(rows))
    with self.assertRaisesRegex(DataError, 'it is the index of another file'):
      read_faces(RecordFile(path))

  def test_a_file_without_any_image_is_refused(self):
    path = self.records(recordio.pack((1.0, 1.0), 0, b''))
    with self.assertRaisesRegex(DataError, 'none of 1 records is an image'):
      read_faces(RecordFile(path))

  @parameterized.parameters(
    ('4,112,112', 'property claims 4 classes, found 3'),
    ('three', "property is 'three', expected 'CLASSES,HEIGHT,WIDTH'"),
  )
  def test_a_property_that_does_not_fit_is_noted(self, text, note):
    path = self.write()
    (self.folder / 'property').write_text(text)
    self.assertEqual(read_faces(RecordFile(path)).claims['notes'], [note])

  def test_an_index_that_leaves_records_out_is_noted(self):
    path = self.write(insightface=False)
    index = path.with_suffix('.idx')
    index.write_text(''.join(index.read_text().splitlines(True)[:-1]))
    table = read_faces(RecordFile(path))
    self.assertEqual(table.labels.tolist(), [0, 0, 3, 1])
    self.assertEqual(
      table.claims['notes'], ['36 bytes belong to no row of the index']
    )

  @parameterized.parameters(
    ([(0, b'x'), (1, b'y'), (0, b'z')], 'label 0 comes back'),
    ([(-1, b'x')], 'label -1'),
    ([(1 << 24, b'x')], 'label 16777216: expected 0 to 16777215'),
  )
  def test_what_cannot_be_written_leaves_nothing(self, faces, message):
    with self.assertRaisesRegex(UsageError, message):
      self.write(faces)
    self.assertEmpty(list(self.root.iterdir()))

  def test_a_set_that_is_there_is_replaced_only_on_demand(self):
    self.write()
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self.write([(7, b'new')])
    path = self.write([(7, b'new')], overwrite=True)
    self.assertEqual(read_faces(RecordFile(path)).labels.tolist(), [7])


def test_what_mxnet_wrote_comes_out_of_our_writer_byte_by_byte(
  shared, tmp_path
):
  source = pathlib.Path(shared, 'recordio', 'mxnet_insightface')
  file = RecordFile(source / 'train.rec')
  table = read_faces(file)
  assert table.claims['notes'] == []
  assert table.claims['header_range'] == [73, 85]
  np.testing.assert_array_equal(np.unique(table.labels), np.arange(12))
  write_recordio(tmp_path / 'set', read(file, table))
  for name in ('train.rec', 'train.idx', 'property'):
    ours, theirs = tmp_path / 'set' / name, source / name
    assert ours.read_bytes() == theirs.read_bytes(), name


def test_a_file_without_identity_records_has_the_labels_of_its_list(shared):
  source = os.path.join(shared, 'recordio', 'adaface_8faces')
  file = RecordFile(os.path.join(source, 'train.rec'))
  table = read_faces(file)
  listed = {}
  with open(os.path.join(source, 'train.lst')) as lines:
    for line in lines:
      key, label, _ = line.split()
      listed[int(key)] = int(label)
  found = dict(
    zip(file.keys[table.images].tolist(), table.labels.tolist(), strict=True)
  )
  assert found == listed


if __name__ == '__main__':
  absltest.main()
