import io
import pathlib
import pickle
import shutil
import tempfile
import tracemalloc

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import recordio
from facejax.data.images import image_size
from facejax.data.recordio_writing import write_recordio
from facejax.errors import DataError, UsageError
from facejax.preparation.recordio_source import RecordIOSource
from facejax.preparation.sources import FaceSource
from tests.data.remote_files import remote_files

FACES = [(0, b'a0'), (0, b'a1'), (3, b'b0'), (1, b'c0')]


def contents(source):
  """{path: image} of all items."""
  return {source.path(i): source.read(i) for i in range(len(source.labels))}


class RecordIOSourceTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def write(self, folder, faces=FACES, **kwargs):
    write_recordio(self.root / folder, faces, **kwargs)
    return self.root / folder

  def test_items_are_the_images_under_their_labels(self):
    folder = self.write('set')
    for path in (folder, folder / 'train.rec'):
      source = RecordIOSource([path])
      self.assertIsInstance(source, FaceSource)
      self.assertEqual(source.inputs, [str(path)])
      self.assertEqual(source.identities, ['0000000', '0000001', '0000003'])
      self.assertEqual(source.labels.tolist(), [0, 0, 2, 1])
      self.assertEqual(source.labels.dtype, np.int32)
      self.assertEqual(
        contents(source),
        {
          '0000000/000000001.jpg': b'a0',
          '0000000/000000002.jpg': b'a1',
          '0000003/000000003.jpg': b'b0',
          '0000001/000000004.jpg': b'c0',
        },
      )
      self.assertEqual(source.claims()['inputs'][str(path)]['images'], 4)

  def test_buckets_are_read_as_folders_are(self):
    self.write('one/set')
    self.write('two/set')
    (self.root / 'two/set/train.idx').unlink()
    with remote_files(self.root) as url:
      source = RecordIOSource([f'{url}/one/set'])
      self.assertEqual(
        contents(source), contents(RecordIOSource([self.root / 'one/set']))
      )
      two = RecordIOSource([f'{url}/one/set', f'{url}/two/set/train.rec'])
      self.assertLen(contents(two), 8)
      with self.assertRaisesRegex(UsageError, 'names a file twice'):
        RecordIOSource([f'{url}/one/set', f'{url}/one/set/train.rec'])

  def test_buckets_that_cannot_be_reached_say_what_to_install(self):
    with (
      remote_files(self.root, missing='gcsfs') as url,
      self.assertRaisesRegex(UsageError, 'pip install gcsfs'),
    ):
      RecordIOSource([f'{url}/set'])

  @parameterized.parameters(
    (('a/train', 'b/train'), ('a_', 'b_')),
    (('a/left', 'a2/left'), ('a_', 'a2_')),
    (('x/a/one', 'y/a/two'), ('one_', 'two_')),
    (('x/a/train', 'y/a/train'), ('input0_', 'input1_')),
  )
  def test_labels_of_two_files_are_not_the_same_people(self, places, prefixes):
    paths = []
    for place in places:
      folder, name = place.rsplit('/', 1)
      paths.append(self.write(folder, name=name) / f'{name}.rec')
    source = RecordIOSource(paths)
    self.assertEqual(
      source.identities,
      [f'{p}{label:07d}' for p in prefixes for label in (0, 1, 3)],
    )
    self.assertEqual(source.labels.tolist(), [0, 0, 2, 1, 3, 3, 5, 4])
    self.assertEqual([source.input_of(i) for i in range(8)], [0] * 4 + [1] * 4)
    self.assertEqual(source.path(6), f'{prefixes[1]}0000003/000000003.jpg')
    self.assertEqual([source.read(i) for i in (0, 6)], [b'a0', b'b0'])
    self.assertLen(source.claims()['inputs'], 2)

  def test_a_corrupt_record_is_an_item_whose_reading_says_why(self):
    path = self.write('set') / 'train.rec'
    content = bytearray(path.read_bytes())
    content[36] ^= 1  # the magic of the second record
    path.write_bytes(content)
    source = RecordIOSource([path])
    self.assertEqual(source.labels.tolist(), [0, -1, 2, 1])
    self.assertEqual(source.path(1), '000000002.jpg')
    with self.assertRaisesRegex(DataError, 'no record at byte 36'):
      source.read(1)
    self.assertEqual(source.read(2), b'b0')

  def test_a_record_that_claims_more_labels_than_it_has_is_corrupt(self):
    path = self.write('set') / 'train.rec'
    content = bytearray(path.read_bytes())
    content[44] = 9  # the flag of the second record
    path.write_bytes(content)
    source = RecordIOSource([path])
    self.assertEqual(source.labels.tolist(), [0, -1, 2, 1])
    with self.assertRaisesRegex(DataError, 'key 2: the record is too short'):
      source.read(1)

  def test_a_record_without_an_image_is_an_item_that_says_so(self):
    source = RecordIOSource([self.write('set', [(0, b'a'), (0, b'')])])
    with self.assertRaisesRegex(DataError, 'key 2: the record holds no image'):
      source.read(1)

  def test_the_fingerprint_changes_with_the_items(self):
    one = RecordIOSource([self.write('one')]).fingerprint()
    self.assertEqual(one, RecordIOSource([self.root / 'one']).fingerprint())
    self.write('one', [*FACES, (7, b'new')], overwrite=True)
    self.assertNotEqual(one, RecordIOSource([self.root / 'one']).fingerprint())

  def test_a_source_reads_on_after_pickling(self):
    source = RecordIOSource([self.write('set')])
    copy = pickle.loads(pickle.dumps(source))
    self.assertEqual(contents(copy), contents(source))

  def test_inputs_that_are_no_files_say_what_to_give(self):
    (self.root / 'empty').mkdir()
    (self.root / 'a.txt').write_text('x')
    two = self.write('two')
    shutil.copy(two / 'train.rec', two / 'more.rec')
    for name, message in (
      ('none', 'none does not exist: give a .rec file or its folder'),
      ('a.txt', 'a.txt is no .rec file'),
      ('empty', 'expected one .rec file in the folder, found none'),
      ('two', 'found more.rec, train.rec; name the file itself'),
    ):
      with self.assertRaisesRegex(DataError, message):
        RecordIOSource([self.root / name])
    with self.assertRaisesRegex(UsageError, 'names a file twice'):
      RecordIOSource([two / 'train.rec', two / '..' / 'two' / 'train.rec'])
    with self.assertRaisesRegex(UsageError, 'no input'):
      RecordIOSource([])

  def test_an_item_costs_bytes_and_no_object(self):
    count = 120_000
    file = io.BytesIO()
    recordio.write_record(file, recordio.pack(0, 0, b'jpeg'))
    record = np.frombuffer(file.getvalue(), np.uint8)
    table = np.tile(record, (count, 1))
    keys = np.arange(1, count + 1)
    labels = (keys // 4).astype('<f4')
    table[:, 12:16] = labels.view(np.uint8).reshape(-1, 4)
    table[:, 16:24] = keys.astype('<u8').view(np.uint8).reshape(-1, 8)
    path = self.root / 'train.rec'
    path.write_bytes(table.tobytes())
    offsets = np.arange(count) * len(record)
    with path.with_suffix('.idx').open('w') as index:
      index.writelines(
        f'{key}\t{offset}\n' for key, offset in zip(keys, offsets, strict=True)
      )
    del table
    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    source = RecordIOSource([path])
    kept, peak = tracemalloc.get_traced_memory()
    self.assertLess(kept, 30 * count)
    # A few MB are the cost of a chunk of heads, however many there are.
    self.assertLess(peak, 30 * count + 12e6)
    self.assertLen(source.identities, count // 4 + 1)
    self.assertEqual(source.labels[-1], count // 4)
    self.assertEqual(source.path(count - 1), '0030000/000120000.jpg')


def test_the_set_that_mxnet_wrote_has_its_people_and_images(shared):
  source = RecordIOSource([f'{shared}/recordio/mxnet_insightface'])
  assert len(source.identities) == 12
  assert len(source.labels) == 72
  assert source.path(71) == '0000011/000000072.jpg'
  sizes = {image_size(data) for data in contents(source).values()}
  assert sizes == {(112, 112)}


if __name__ == '__main__':
  absltest.main()
