import os
import resource
import shutil
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from facejax import files
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.preparation import checks, draft, report
from tests.conftest import REPOSITORY
from tests.preparation.face_sets import MemorySource, members
from tests.preparation.prepare_case import PrepareCase


class FailingSource(MemorySource):
  """Raises at a read; -1 never."""

  fails_at = -1
  error = KeyboardInterrupt

  def read(self, item):
    if self.num_reads == self.fails_at:
      raise self.error()
    return super().read(item)


class InterruptedTest(PrepareCase):
  def setUp(self):
    super().setUp()
    self.enterContext(mock.patch.object(draft, '_SHARD_BYTES', 10_000))
    self.enterContext(mock.patch.object(checks, '_CHUNK', 2))
    self.files = members({f'p{i:02d}': 4 for i in range(30)})
    self.files |= {'p03/bad.jpg': b'', 'stray.jpg': b'', 'p20/bad.jpg': b''}

  def interrupted(self, error=KeyboardInterrupt, at=100):
    source = FailingSource(self.files)
    source.fails_at, source.error = at, error
    with self.assertRaises(error):
      self.prepare(source)
    self.assertFalse(self.output.exists())
    self.assertEqual(os.listdir(self.root), ['.set.partial'])

  def whole(self):
    records = FaceRecords(self.output)
    records.verify()
    manifest = self.manifest
    return records.checksums, manifest, self.reasons(), self.summary

  @parameterized.parameters(KeyboardInterrupt, RuntimeError)
  def test_the_same_command_goes_on_and_gives_the_same_set(self, error):
    self.prepare(self.files)
    expected = self.whole()
    shutil.rmtree(self.output)
    self.interrupted(error)
    source = MemorySource(self.files)
    self.prepare(source)
    self.assertLess(source.num_reads, 60)
    self.assertEqual(self.whole(), expected)
    self.assertEqual(os.listdir(self.root), ['set'])

  def test_a_report_that_failed_reads_no_image_again(self):
    self.prepare(self.files)
    expected = self.whole()
    shutil.rmtree(self.output)
    with (
      mock.patch.object(report, 'contact_sheet', side_effect=MemoryError),
      self.assertRaises(MemoryError),
    ):
      self.prepare(self.files)
    source = MemorySource(self.files)
    self.prepare(source)
    self.assertEqual(source.num_reads, 0)
    self.assertEqual(self.whole(), expected)
    names = [path.name for path in self.output.iterdir()]
    self.assertFalse([n for n in names if n.startswith(('shard', 'progress'))])

  def test_a_set_that_cannot_be_put_in_place_is_not_lost(self):
    with (
      mock.patch.object(files, 'put_directory', side_effect=OSError('busy')),
      self.assertRaisesRegex(OSError, 'busy'),
    ):
      self.prepare(self.files)
    source = MemorySource(self.files)
    self.prepare(source)
    self.assertEqual(source.num_reads, 0)
    self.assertLen(FaceRecords(self.output), 120)
    self.assertEqual(os.listdir(self.root), ['set'])
    names = {path.name for path in self.output.iterdir()}
    self.assertTrue(names.isdisjoint({'progress.json', 'lock', 'digests.bin'}))

  def test_another_request_starts_anew(self):
    self.interrupted()
    source = MemorySource(self.files)
    self.prepare(source, min_images=3)
    self.assertEqual(source.num_reads, 122)
    self.assertEqual(self.manifest['min_images'], 3)

  @parameterized.parameters('shard-00001', 'identities.txt', 'progress.json')
  def test_a_draft_that_is_damaged_is_done_anew(self, name):
    self.interrupted()
    path = self.root / '.set.partial' / name
    path.write_bytes(path.read_bytes()[:5])
    source = MemorySource(self.files)
    self.prepare(source)
    self.assertEqual(source.num_reads, 122)
    FaceRecords(self.output).verify()

  def test_an_interruption_before_the_first_shard_leaves_nothing(self):
    source = FailingSource(self.files)
    source.fails_at = 3
    with self.assertRaises(KeyboardInterrupt):
      self.prepare(source)
    self.assertEqual(os.listdir(self.root), [])

  def test_the_old_set_stands_until_the_new_one_is_whole(self):
    self.prepare(members({'ann': 2}))
    before = FaceRecords(self.output).checksums
    source = FailingSource(self.files)
    source.fails_at = 100
    with self.assertRaises(KeyboardInterrupt):
      self.prepare(source, overwrite=True)
    self.assertEqual(FaceRecords(self.output).checksums, before)
    self.prepare(self.files, overwrite=True)
    self.assertLen(FaceRecords(self.output), 120)
    self.assertEqual(os.listdir(self.root), ['set'])

  def test_full_disk_is_a_clear_error_and_what_is_done_is_kept(self):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with mock.patch.object(draft, '_SHARD_BYTES', 200_000):
      resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, limits[1]))
      try:
        with self.assertRaisesRegex(DataError, 'free some space'):
          self.prepare(self.files)
      finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
      self.assertEqual(os.listdir(self.root), [])
      self.prepare(self.files)
    FaceRecords(self.output).verify()

  def test_two_processes_do_not_prepare_one_set(self):
    with (
      draft.draft_directory(self.output),
      self.assertRaisesRegex(UsageError, 'another process is preparing'),
    ):
      self.prepare(self.files)

  def test_a_killed_process_leaves_no_set_and_the_next_one_goes_on(self):
    code = (
      'import os, signal, sys\n'
      'from facejax.preparation import checks, draft, prepare\n'
      'from tests.preparation.draft_test import FailingSource\n'
      'from tests.preparation.face_sets import members\n'
      'class Killed(FailingSource):\n'
      '  def read(self, item):\n'
      '    if self.num_reads == 100: os.kill(os.getpid(), signal.SIGKILL)\n'
      '    return super().read(item)\n'
      "files = members({f'p{i:02d}': 4 for i in range(30)})\n"
      'checks._CHUNK, draft._SHARD_BYTES = 2, 10_000\n'
      'prepare.prepare(Killed(files), sys.argv[1])\n'
    )
    process = subprocess.run(
      [sys.executable, '-c', code, str(self.output)],
      cwd=REPOSITORY,
      capture_output=True,
      check=False,
    )
    self.assertEqual(process.returncode, -signal.SIGKILL, process.stderr)
    self.assertEqual(os.listdir(self.root), ['.set.partial'])
    source = MemorySource(members({f'p{i:02d}': 4 for i in range(30)}))
    self.prepare(source)
    self.assertLess(source.num_reads, 60)
    self.assertLen(FaceRecords(self.output), 120)


if __name__ == '__main__':
  absltest.main()
