import json
import pathlib
import pickle
import shutil
import tempfile
import threading

import chex
import numpy as np
from absl.testing import absltest

from facejax.data.manifest import identities_checksum
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from tests.preparation.face_sets import members, write_set

COUNTS = {'ann': 3, 'bob': 2, 'cy': 4}


class RecordsTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.original = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    write_set(cls.original, COUNTS)

  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.directory = root / 'set'
    shutil.copytree(self.original / 'set', self.directory)

  @property
  def shard(self):
    (path,) = self.directory.glob('*array_record*')
    return path

  def edit_manifest(self, **values):
    path = self.directory / 'manifest.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | values))

  def test_records_are_the_files_in_order_of_identity_and_name(self):
    records = FaceRecords(self.directory)
    self.assertLen(records, 9)
    self.assertEqual(records.identities, ['ann', 'bob', 'cy'])
    self.assertEqual(records.num_identities, 3)
    keys = [f'{n}/{i:03d}.jpg' for n, c in COUNTS.items() for i in range(c)]
    self.assertEqual([records[i]['key'] for i in range(9)], keys)
    labels = [records[i]['label'] for i in range(9)]
    self.assertEqual(labels, [0, 0, 0, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(records.labels(), labels)
    files = members(COUNTS)
    for record in records.__getitems__(range(9)):
      self.assertEqual(record['image'], files[record['key']])

  def test_batch_is_in_the_order_asked_for_with_repeats(self):
    records = FaceRecords(self.directory)
    batch = records.__getitems__(np.array([7, 0, 7, 3]))
    self.assertEqual([r['label'] for r in batch], [2, 0, 2, 1])
    self.assertEqual(batch[0], records[7])

  def test_index_out_of_range_is_an_index_error(self):
    records = FaceRecords(self.directory)
    for index in (-1, 9):
      with self.assertRaises(IndexError):
        records[index]

  def test_pickled_copy_reads_the_same(self):
    records = FaceRecords(self.directory)
    copy = pickle.loads(pickle.dumps(records))
    self.assertEqual(copy[4], records[4])

  def test_threads_read_the_same(self):
    records = FaceRecords(self.directory)
    expected = records.__getitems__(range(9))
    wrong = []

    def read():
      for _ in range(20):
        if records.__getitems__(range(9)) != expected:
          wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(wrong, [])

  def test_checksum_of_identities_is_sha256_of_the_lines(self):
    self.assertEqual(
      identities_checksum(['ann', 'bob', 'cy']),
      # printf 'ann\nbob\ncy' | sha256sum
      'a0b5488ff807585ab89735a84fbcd77dd9e47267d048b197d83acef6eb59e23b',
    )
    records = FaceRecords(self.directory)
    self.assertEqual(
      records.identities_checksum, identities_checksum(records.identities)
    )

  def test_missing_folder_and_missing_manifest_say_what_to_do(self):
    for directory in (self.directory / 'no', self.original):
      with self.assertRaisesRegex(DataError, 'launch.prepare_data'):
        FaceRecords(directory)

  def test_unreadable_manifests_are_refused(self):
    self.edit_manifest(format_version=99)
    with self.assertRaisesRegex(DataError, 'format version 99'):
      FaceRecords(self.directory)
    for text, message in (('{}', 'lacks'), ('[]', 'lacks'), ('{', 'JSON')):
      (self.directory / 'manifest.json').write_text(text)
      with self.assertRaisesRegex(DataError, message):
        FaceRecords(self.directory)

  def test_missing_shard_is_named(self):
    name = self.shard.name
    self.shard.unlink()
    with self.assertRaisesRegex(DataError, f'{name} is missing'):
      FaceRecords(self.directory)

  def test_truncated_shard_is_named(self):
    data = self.shard.read_bytes()
    self.shard.write_bytes(data[:-1000])
    with self.assertRaisesRegex(DataError, 'cut short'):
      FaceRecords(self.directory)

  def test_shard_with_another_number_of_records_is_corrupt(self):
    self.shard.write_bytes(bytes(self.shard.stat().st_size))
    with self.assertRaisesRegex(DataError, 'corrupt: 0 records'):
      FaceRecords(self.directory)

  def test_corrupt_record_is_named_and_the_others_are_read(self):
    image = FaceRecords(self.directory)[5]['image']
    data = bytearray(self.shard.read_bytes())
    data[data.index(image) + 50] ^= 255
    self.shard.write_bytes(data)
    records = FaceRecords(self.directory)
    self.assertLen(records.__getitems__([0, 4, 6, 8]), 4)
    with self.assertRaisesRegex(DataError, 'record 5 of .*array_record'):
      records.__getitems__(range(9))
    with self.assertRaisesRegex(DataError, 'does not fit its checksum'):
      records.verify()

  def test_verify_accepts_what_was_written_and_finds_changed_names(self):
    FaceRecords(self.directory).verify()
    (self.directory / 'identities.txt').write_text('ann\nrob\ncy\n')
    with self.assertRaisesRegex(DataError, 'identities do not fit'):
      FaceRecords(self.directory).verify()

  def test_lists_that_do_not_fit_the_manifest_are_refused(self):
    names = self.directory / 'identities.txt'
    names.write_text('ann\nbob\n')
    with self.assertRaisesRegex(DataError, 'has 2 names, the manifest says 3'):
      FaceRecords(self.directory)
    names.unlink()
    with self.assertRaisesRegex(DataError, 'identities.txt is missing'):
      FaceRecords(self.directory)

  def test_sizes_that_do_not_add_up_are_refused(self):
    path = self.directory / 'identity_sizes.npy'
    for sizes in ([3, 2], [3, 2, 5], [3.0, 2.0, 4.0]):
      np.save(path, np.array(sizes))
      with self.assertRaisesRegex(DataError, 'does not count 9 images'):
        FaceRecords(self.directory)
    path.write_bytes(path.read_bytes()[:20])
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      FaceRecords(self.directory)

  def test_checksums_name_every_shard(self):
    checksums = FaceRecords(self.directory).checksums
    self.assertEqual(list(checksums), [self.shard.name])
    self.assertRegex(checksums[self.shard.name], '^[0-9a-f]{64}$')


if __name__ == '__main__':
  absltest.main()
