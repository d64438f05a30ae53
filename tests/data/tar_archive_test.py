import os
import pathlib
import pickle
import tarfile
import tempfile
import threading
from unittest import mock

import chex
from absl.testing import absltest, parameterized

from facejax.data.archives import open_archive
from facejax.data.tar_archive import TarArchive
from facejax.data.unpacking import UnpackedFile
from facejax.errors import DataError
from tests.data.packed_files import tar_entry, write_tar

MEMBERS = {f'a/{i}.jpg': bytes([i]) * 700 * i for i in range(9)}


class TarTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = self.root / 'a.tar'

  def open_fds(self):
    return len(os.listdir('/proc/self/fd'))

  @parameterized.product(
    mode=['w', 'w:gz', 'w:bz2', 'w:xz'],
    tar_format=[tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT],
  )
  def test_every_format_and_compression_reads_alike(self, mode, tar_format):
    write_tar(self.path, MEMBERS, mode=mode, tar_format=tar_format)
    archive = open_archive(self.path)
    self.assertEqual(archive.names(), sorted(MEMBERS))
    for name, data in reversed(MEMBERS.items()):
      self.assertEqual(archive.read(name), data)

  @parameterized.parameters(tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
  def test_long_names_and_names_of_any_bytes_are_read(self, tar_format):
    members = {'x' * 150 + '/' + 'y' * 120: b'1', os.fsdecode(b'\xff'): b'2'}
    write_tar(self.path, members | {'王/1.jpg': b'3'}, tar_format=tar_format)
    archive = open_archive(self.path)
    self.assertEqual(archive.read('x' * 150 + '/' + 'y' * 120), b'1')
    self.assertEqual(archive.read(os.fsdecode(b'\xff')), b'2')
    self.assertEqual(archive.read('王/1.jpg'), b'3')

  @parameterized.parameters('../up.jpg', '/top.jpg', 'a/../../up.jpg')
  def test_member_that_climbs_out_is_refused(self, name):
    write_tar(self.path, {name: b'x'})
    with self.assertRaisesRegex(DataError, 'unsafe member name'):
      open_archive(self.path)

  def test_links_and_devices_are_listed_but_not_read(self):
    write_tar(
      self.path,
      {'a/1.jpg': b'one'},
      tar_entry('a/2.jpg', type=tarfile.SYMTYPE, linkname='/etc/passwd'),
      tar_entry('a/3.jpg', type=tarfile.LNKTYPE, linkname='a/1.jpg'),
      tar_entry('a/4.jpg', type=tarfile.FIFOTYPE),
      tar_entry('a/5.jpg', type=tarfile.CHRTYPE),
      tar_entry('a/deep', type=tarfile.DIRTYPE),
    )
    archive = open_archive(self.path)
    self.assertEqual(archive.names(), [f'a/{i}.jpg' for i in range(1, 6)])
    self.assertEqual(archive.read('a/1.jpg'), b'one')
    for name, reason in (
      ('a/2.jpg', 'is a link'),
      ('a/3.jpg', 'is a link'),
      ('a/4.jpg', 'not a regular file'),
      ('a/5.jpg', 'not a regular file'),
    ):
      with self.assertRaisesRegex(DataError, reason):
        archive.read(name)

  def test_sparse_member_is_refused(self):
    entry = tar_entry('a/1.jpg')
    entry.pax_headers = {'GNU.sparse.map': '0,1', 'GNU.sparse.size': '9'}
    write_tar(self.path, {}, entry)
    with self.assertRaisesRegex(DataError, 'sparse'):
      open_archive(self.path).read('a/1.jpg')

  def test_too_large_member_is_refused(self):
    archive = open_archive(write_tar(self.path, MEMBERS))
    archive.MAX_BYTES = 700
    self.assertEqual(archive.read('a/1.jpg'), MEMBERS['a/1.jpg'])
    with self.assertRaisesRegex(DataError, 'too many bytes'):
      archive.read('a/2.jpg')

  def test_leading_dots_are_taken_off_and_the_last_of_one_name_counts(self):
    write_tar(self.path, {'./a/1.jpg': b'old', 'a/1.jpg': b'new'})
    archive = open_archive(self.path)
    self.assertEqual(archive.names(), ['a/1.jpg'])
    self.assertEqual(archive.read('a/1.jpg'), b'new')

  @parameterized.parameters('w', 'w:gz', 'w:bz2', 'w:xz')
  def test_tar_cut_short_anywhere_is_a_data_error(self, mode):
    whole = write_tar(self.path, MEMBERS, mode=mode).read_bytes()
    # Behind the end mark a plain tar is filled up with zeros.
    end = len(whole.rstrip(b'\0')) if mode == 'w' else len(whole) - 1
    for cut in [*range(0, end, end // 23), end]:
      self.path.write_bytes(whole[:cut])
      with self.assertRaisesRegex(DataError, 'a.tar', msg=str(cut)):
        open_archive(self.path)

  def test_broken_header_is_a_data_error_not_the_end(self):
    whole = bytearray(write_tar(self.path, MEMBERS).read_bytes())
    whole[whole.index(b'a/5.jpg')] ^= 0xFF
    self.path.write_bytes(whole)
    with self.assertRaisesRegex(DataError, 'corrupt at byte'):
      open_archive(self.path)

  def test_joined_tars_are_an_error_rather_than_half_read(self):
    whole = write_tar(self.path, MEMBERS).read_bytes()
    self.path.write_bytes(whole + whole)
    with self.assertRaisesRegex(DataError, 'behind its end mark'):
      open_archive(self.path)

  @parameterized.parameters(tarfile.REGTYPE, tarfile.XHDTYPE, b'L')
  def test_negative_size_is_no_endless_loop(self, kind):
    entry = tar_entry('a/1.jpg', type=kind, size=-4096)
    with mock.patch.object(tarfile, 'itn', _signed):
      header = entry.tobuf(tarfile.GNU_FORMAT)
    good = write_tar(self.path, MEMBERS).read_bytes()
    end = -(-len(good.rstrip(b'\0')) // 512) * 512
    self.path.write_bytes(good[:end] + header + bytes(1024))
    with self.assertRaises(DataError):
      open_archive(self.path)

  def test_flipped_bytes_raise_nothing_but_data_errors(self):
    whole = write_tar(
      self.path, {'x' * 120: b'1', 'a': b'2' * 600}
    ).read_bytes()
    for place in range(0, 3072, 5):
      self.path.write_bytes(
        whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :]
      )
      try:
        archive = open_archive(self.path)
        for name in archive.names():
          archive.read(name)
      except DataError:
        pass  # anything else fails the test

  def test_reads_alike_from_many_threads_and_after_pickling(self):
    write_tar(self.path, MEMBERS, mode='w:gz')
    archive = pickle.loads(pickle.dumps(open_archive(self.path)))
    wrong = []

    def read_all():
      wrong.extend(n for n, d in MEMBERS.items() if archive.read(n) != d)

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(wrong, [])

  def test_unpacked_file_has_no_name_and_goes_with_the_archive(self):
    write_tar(self.path, MEMBERS, mode='w:xz')
    before = self.open_fds()
    archive = TarArchive(self.path)
    self.assertEqual(os.listdir(self.root), ['a.tar'])
    self.assertEqual(archive.read('a/8.jpg'), MEMBERS['a/8.jpg'])
    del archive
    self.assertEqual(self.open_fds(), before)

  def test_folder_that_cannot_be_written_is_no_obstacle(self):
    write_tar(self.path, MEMBERS, mode='w:gz')
    temporary = tempfile.TemporaryFile

    def refuse_beside(**options):
      if options.get('dir') is not None:
        raise PermissionError(13, 'read-only')
      return temporary(**options)

    with mock.patch.object(tempfile, 'TemporaryFile', refuse_beside):
      self.assertEqual(open_archive(self.path).read('a/1.jpg'), b'\1' * 700)

  def test_bomb_is_refused_while_it_unpacks(self):
    path = write_tar(self.path, {'a/1.jpg': bytes(5_000_000)}, mode='w:gz')
    with (
      mock.patch.object(UnpackedFile, 'MAX_RATIO', 2),
      self.assertRaisesRegex(DataError, 'more than 2 times its size'),
    ):
      open_archive(path)

  def test_full_disk_is_said_before_it_is_full(self):
    write_tar(self.path, MEMBERS, mode='w:gz')
    with (
      mock.patch.object(UnpackedFile, 'SPARE_BYTES', 1 << 60),
      self.assertRaisesRegex(DataError, 'set TMPDIR to a larger disk'),
    ):
      open_archive(self.path)


def _signed(number, digits=8, tar_format=tarfile.GNU_FORMAT):
  """A number field in base 256, which may be negative."""
  del tar_format
  return bytes([0xFF if number < 0 else 0x80]) + (
    number & ((1 << 8 * (digits - 1)) - 1)
  ).to_bytes(digits - 1)


if __name__ == '__main__':
  absltest.main()
