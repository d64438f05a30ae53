"""What is on the disk: commits, crashes, damage, several processes."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.search import appending
from facejax.search.index import FaceIndex
from tests.conftest import REPOSITORY
from tests.search import small_index

FILES = (
  'codes',
  'name_ends',
  'name_keys',
  'names',
  'people',
  'people_ends',
  'people_keys',
  'person',
  'vectors',
)


def start(module, *arguments):
  """A process of the tests, with pipes."""
  return subprocess.Popen(
    [sys.executable, '-m', f'tests.search.{module}', *map(str, arguments)],
    cwd=REPOSITORY,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


class StoreTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'index')

  def create(self, count=0, **fields):
    index = small_index.create(self.path, count, **fields)
    self.addCleanup(index.close)
    return index

  def file(self, name, generation=0):
    return os.path.join(self.path, f'generation_{generation}', name)

  def manifest(self):
    with open(os.path.join(self.path, 'index.json')) as file:
      return json.load(file)

  def write_manifest(self, value):
    with open(os.path.join(self.path, 'index.json'), 'w') as file:
      json.dump(value, file)

  def reopened(self):
    """The index as the next writer finds it."""
    index = FaceIndex.open(self.path, writable=True)
    self.addCleanup(index.close)
    return index


class ProcessesTest(StoreTestCase):
  def test_a_killed_writer_loses_nothing_committed(self):
    self.create().close()
    said = 0
    for _ in range(2):
      with start('writer', self.path, said) as writer:
        for line in writer.stdout:
          said = int(line)
          if said % 60 == 0:
            break
        writer.send_signal(signal.SIGKILL)
        # It may have committed more than this process came to read.
        rest = writer.stdout.read().split()
      committed = self.manifest()['templates']
      said = int(rest[-1]) if rest else said
      self.assertIn(committed, (said, said + 6))
      index = self.reopened()
      self.assertLen(index, committed)
      index.check()
      self.assertEqual(list(index.snapshot.names), small_index.names(committed))
      for name in FILES:  # what was not committed is cut off
        size = self.manifest()['files'][name]['size']
        self.assertEqual(os.path.getsize(self.file(name)), size, name)
      index.close()
      said = committed

  def test_two_processes_read_while_one_writes_and_compacts(self):
    index = self.create(6)
    readers = [start('reader', self.path) for _ in range(2)]
    try:
      for reader in readers:
        self.assertEqual(reader.stdout.readline(), 'ready\n')
      for turn in range(1, 5):
        small_index.add(index, 6, start=100 * turn, seed=turn)
        if turn == 3:
          index.remove(names=small_index.names(6))
          index.compact()
        for reader in readers:
          print(turn, file=reader.stdin, flush=True)
        wanted = 6 * (turn + (turn < 3))
        for reader in readers:
          self.assertEqual(reader.stdout.readline(), f'{wanted} True\n')
    finally:
      for reader in readers:
        reader.communicate()
        self.assertEqual(reader.returncode, 0)

  def test_a_second_writer_is_refused_and_named_the_first(self):
    index = self.create(3)
    with self.assertRaisesRegex(UsageError, f'by process {os.getpid()}:'):
      FaceIndex.open(self.path, writable=True)
    reader = FaceIndex.open(self.path)
    with self.assertRaisesRegex(UsageError, 'open for reading'):
      small_index.add(reader, 3, start=9)
    with self.assertRaisesRegex(UsageError, 'open for reading'):
      reader.compact()
    index.close()
    index.close()
    self.reopened()

  def test_a_file_that_may_not_grow_loses_nothing_committed(self):
    self.create(600).close()
    child = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from facejax.errors import DataError
from facejax.search.index import FaceIndex
from tests.search import small_index
index = FaceIndex.open({self.path!r}, writable=True)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
# Codes and names still fit, vectors do not.
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limit[1]))
try:
  small_index.add(index, 300, start=600)
except DataError as error:
  print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
print(len(index), small_index.add(index, 3, start=600).shape, len(index))
index.check()
"""
    done = subprocess.run(
      [sys.executable, '-c', child],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=True,
    )
    message, counts = done.stdout.splitlines()
    self.assertIn('no space left to write', message)
    self.assertIn('what was committed before is intact', message)
    self.assertEqual(counts, '600 (3, 16) 603')
    self.assertEqual(resource.getrlimit(resource.RLIMIT_CPU)[0], -1)


class CommitTest(StoreTestCase):
  @parameterized.parameters(*range(12))
  def test_a_failure_at_any_step_leaves_the_last_commit(self, step):
    index = self.create(6)
    steps = iter(range(99))

    def failing(real):
      def call(*arguments):
        if next(steps) == step:
          raise OSError(errno.EIO, 'broken')
        return real(*arguments)

      return call

    failed = False
    with (
      mock.patch.object(appending.os, 'pwrite', failing(os.pwrite)),
      mock.patch.object(appending.os, 'replace', failing(os.replace)),
    ):
      try:
        small_index.add(index, 3, start=6)
      except OSError:
        failed = True
    self.assertEqual(failed, step < 10)  # nine files, and index.json
    for opened in (index, FaceIndex.open(self.path)):
      self.assertLen(opened, 6 if failed else 9)
      opened.check()
    small_index.add(index, 3, start=12, seed=2)  # goes on
    self.assertLen(FaceIndex.open(self.path), 9 if failed else 12)
    index.check()

  def test_a_failed_compaction_leaves_the_old_generation(self):
    index = self.create(9)
    index.remove(people=['p1'])
    with (
      mock.patch.object(appending.os, 'replace', side_effect=OSError(5, 'x')),
      self.assertRaises(OSError),
    ):
      index.compact()
    self.assertLen(index, 6)
    folders = [n for n in os.listdir(self.path) if n.startswith('gen')]
    self.assertEqual(folders, ['generation_0'])
    self.assertEqual(index.compact(), 3)
    self.assertEqual(list(index.snapshot.people), ['p0', 'p2'])
    index.check()

  def test_a_reader_keeps_its_generation_until_it_refreshes(self):
    index = self.create(9)
    reader = FaceIndex.open(self.path)
    late = FaceIndex.open(self.path)  # has mapped nothing yet
    probes = small_index.probes(small_index.unit_vectors(9))
    before = reader.search(probes, top_k=2)
    index.remove(people=['p1'])
    index.compact()
    self.assertFalse(os.path.exists(self.file('codes')))
    after = reader.search(probes, top_k=2)
    self.assertEqual(before.names, after.names)
    self.assertLen(late, 6)
    self.assertTrue(reader.refresh())
    self.assertFalse(reader.refresh())
    self.assertLen(reader, 6)
    self.assertNotIn('p1', sum(reader.search(probes).people, []))

  def test_what_is_mapped_is_read_only_and_not_in_memory(self):
    index = self.create(9)
    snapshot = FaceIndex.open(self.path).snapshot
    for array in (snapshot.codes, snapshot.vectors.values, snapshot.person):
      with self.assertRaises(ValueError):
        array[0] = 0
      base = array
      while isinstance(base.base, np.ndarray):
        base = base.base
      self.assertIsInstance(base, np.memmap)
    index.close()

  def test_leftovers_of_a_crash_go_and_other_files_stay(self):
    self.create(6).close()
    for name in ('generation_1', 'generation_0/x'):
      os.makedirs(os.path.join(self.path, name))
    for name in ('calibration_7', '.index.json.tmp', 'mine.txt'):
      open(os.path.join(self.path, name), 'w').close()
    with open(self.file('codes'), 'ab') as file:
      file.write(b'not committed')
    reader = FaceIndex.open(self.path)
    self.assertLen(reader, 6)
    index = self.reopened()
    self.assertCountEqual(
      os.listdir(self.path), ['index.json', 'generation_0', 'lock', 'mine.txt']
    )
    self.assertEqual(os.path.getsize(self.file('codes')), 24)
    index.check()


class DamageTest(StoreTestCase):
  @parameterized.parameters(*FILES)
  def test_a_truncated_file_is_said_at_opening(self, name):
    self.create(6).close()
    os.truncate(self.file(name), os.path.getsize(self.file(name)) - 1)
    with self.assertRaisesRegex(DataError, f'{name} is cut short'):
      len(FaceIndex.open(self.path))
    with self.assertRaisesRegex(DataError, f'{name} is cut short'):
      FaceIndex.open(self.path, writable=True)
    os.unlink(self.file(name))
    with self.assertRaisesRegex(DataError, f'{name} is missing'):
      len(FaceIndex.open(self.path))
    with self.assertRaisesRegex(DataError, f'{name} is missing'):
      FaceIndex.open(self.path, writable=True)

  @parameterized.parameters(*FILES)
  def test_a_changed_bit_is_found_by_checking(self, name):
    index = self.create(6)
    index.check()
    with open(self.file(name), 'r+b') as file:
      byte = file.read(1)
      file.seek(0)
      file.write(bytes([byte[0] ^ 1]))
    with self.assertRaisesRegex(DataError, f'{name} does not fit its checksum'):
      index.check()

  def test_checksums_cover_all_commits(self):
    index = self.create(6)
    small_index.add(index, 300, start=6)
    with open(self.file('vectors'), 'r+b') as file:
      file.seek(-1, os.SEEK_END)
      file.write(b'\xff')
    with self.assertRaisesRegex(DataError, 'vectors does not fit'):
      index.check()

  def test_numbers_that_lead_nowhere_are_found_though_checksums_fit(self):
    for name, content, message in (
      ('person', np.full(6, 7, np.int32), 'person has a number outside'),
      ('name_ends', np.full(6, 900, np.int64), 'the ends of names'),
    ):
      self.create(6).close()
      with open(self.file(name), 'wb') as file:
        file.write(content.tobytes())
      value = self.manifest()
      value['files'][name]['crc32'] = appending.committed_crc32(
        files.Path(self.file(name)), content.nbytes
      )
      self.write_manifest(value)
      with self.assertRaisesRegex(DataError, message):
        FaceIndex.open(self.path).check()
      shutil.rmtree(self.path)

  @parameterized.parameters(
    ({'format_version': 2}, 'format version 2, this facejax reads 1'),
    ({'templates': 7}, 'person does not hold 7 rows'),
    ({'templates': -1}, 'templates is no count'),
    ({'templates': 'x'}, 'templates is no count'),
    ({'bits': 64}, 'codes does not hold 6 rows'),
    ({'bits': 0}, 'other files'),
    ({'vectors': 'int4'}, 'vectors=.int4'),
    ({'model': 'out'}, 'model is no object'),
    ({'files': {}}, 'other files'),
    ({'files': None}, 'damaged'),
    ({'more': 1}, 'damaged'),
  )
  def test_another_manifest_is_refused(self, change, message):
    self.create(6).close()
    self.write_manifest(self.manifest() | change)
    for writable in (False, True):
      with self.assertRaisesRegex(DataError, message):
        FaceIndex.open(self.path, writable=writable)

  def test_what_is_no_index_is_refused(self):
    with self.assertRaisesRegex(DataError, 'is no index'):
      FaceIndex.open(self.path)
    os.mkdir(self.path)
    path = os.path.join(self.path, 'index.json')
    for text, message in (('{', 'not valid JSON'), ('[]', 'a JSON object')):
      with open(path, 'w') as file:
        file.write(text)
      with self.assertRaisesRegex(DataError, message):
        FaceIndex.open(self.path)
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self.create()
    with self.assertRaisesRegex(UsageError, 'name a local folder'):
      FaceIndex.create('gs://bucket/index', bits=8, embedding_size=4)

  def test_a_damaged_calibration_is_said(self):
    index = self.create(6)
    index.calibrate(small_index.probes(small_index.unit_vectors(9, seed=3)))
    (name,) = (n for n in os.listdir(self.path) if n.startswith('cal'))
    path = os.path.join(self.path, name)
    os.truncate(path, 10)
    for call in (index.check, lambda: index.calibration):
      with self.assertRaisesRegex(DataError, f'{name} does not fit'):
        call()
    os.unlink(path)
    for call in (index.check, lambda: index.calibration):
      with self.assertRaisesRegex(DataError, f'{name} is missing'):
        call()


if __name__ == '__main__':
  absltest.main()
