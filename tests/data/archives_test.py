import os
import pathlib
import pickle
import struct
import tempfile
import threading
import zipfile
import zlib
from unittest import mock

import chex
import fsspec.implementations.memory
from absl.testing import absltest, parameterized

from facejax.data import archives, zip_directory
from facejax.data.members import Members, sorted_order
from facejax.errors import DataError, UsageError
from tests.data.packed_files import write_files, write_tar, write_zip
from tests.data.remote_files import remote_files


class ArchiveCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def folder(self, *names):
    return write_files(
      self.root / 'folder', {name: os.fsencode(name) for name in names}
    )


class ArchivesTest(ArchiveCase):
  def test_folder_zip_and_tar_list_and_read_the_same(self):
    # '-' sorts before '/', which a walk folder by folder gets wrong.
    names = ['b/2.jpg', 'a/1.jpg', 'a/deep/3.png', 'a-b/0.jpg', 'list.txt']
    members = {name: name.encode() for name in names}
    for path in (
      self.folder(*names),
      write_zip(self.root / 'a.zip', members),
      write_tar(self.root / 'a.tar', members),
      write_tar(self.root / 'a.TGZ', members, mode='w:gz'),
    ):
      archive = archives.open_archive(path)
      self.assertEqual(archive.names(), sorted(names))
      for name in names:
        self.assertEqual(archive.read(name), name.encode())
      with self.assertRaisesRegex(DataError, 'a/9.jpg'):
        archive.read('a/9.jpg')

  def test_image_names_leaves_out_system_files_and_other_types(self):
    archive = archives.open_archive(
      self.folder('a/1.JPG', 'a/._1.jpg', '__MACOSX/a/1.jpg', 'a/x.txt')
    )
    self.assertEqual(archives.image_names(archive), ['a/1.JPG'])

  def test_link_out_of_the_folder_is_refused(self):
    secret = self.root / 'secret.jpg'
    secret.write_bytes(b'secret')
    root = self.folder('a/1.jpg')
    (root / 'a' / '2.jpg').symlink_to(secret)
    (root / 'a' / '3.jpg').symlink_to(root / 'a' / '1.jpg')
    archive = archives.open_archive(root)
    with self.assertRaisesRegex(DataError, 'leads out of'):
      archive.read('a/2.jpg')
    with self.assertRaisesRegex(DataError, 'leads out of'):
      archive.read('../secret.jpg')
    self.assertEqual(archive.read('a/3.jpg'), b'a/1.jpg')

  def test_link_to_a_folder_is_an_error_not_an_endless_walk(self):
    root = self.folder('a/1.jpg')
    (root / 'a' / 'loop').symlink_to(root, target_is_directory=True)
    with self.assertRaisesRegex(DataError, 'link to a folder'):
      archives.open_archive(root).names()

  def test_pipe_is_refused_rather_than_waited_for(self):
    root = self.folder('a/1.jpg')
    os.mkfifo(root / 'a' / 'pipe.jpg')
    with self.assertRaisesRegex(DataError, 'not a regular file'):
      archives.open_archive(root).read('a/pipe.jpg')

  def test_missing_file_and_dangling_link_are_data_errors(self):
    root = self.folder('a/1.jpg')
    (root / 'a' / 'gone.jpg').symlink_to(root / 'a' / 'nothing.jpg')
    for name in ('a/2.jpg', 'a/gone.jpg', 'a'):
      with self.assertRaises(DataError):
        archives.open_archive(root).read(name)

  def test_names_that_are_not_utf8_come_back_as_they_are(self):
    name = os.fsdecode(b'a/\xff.jpg')
    root = self.folder(name)
    archive = archives.open_archive(root)
    self.assertEqual(archive.names(), [name])
    self.assertEqual((root / name).read_bytes(), archive.read(name))

  def test_missing_place_and_wrong_kind_say_what_to_give(self):
    (self.root / 'a.txt').write_text('x')
    (self.root / 'b.zip').write_text('no zip')
    (self.root / 'c.tar').write_text('no tar')
    for name, message in (
      ('nothing', 'does not exist'),
      ('a.txt', 'expected a folder or a .zip'),
      ('b.zip', 'no readable zip'),
      ('c.tar', 'no readable tar'),
    ):
      with self.assertRaisesRegex(DataError, message):
        archives.open_archive(self.root / name)


class MembersTest(chex.TestCase):
  def test_names_are_sorted_with_their_numbers_and_the_last_of_one_name(self):
    rows = [('b', (1, 2)), ('a', (3, 4)), ('c', (5, 600)), ('a', (7, 8))]
    members = Members(iter(rows), 'qb')
    self.assertEqual(members.names, ['a', 'b', 'c'])
    self.assertEqual(
      [column.tolist() for column in members.columns], [[7, 1, 5], [8, 2, 127]]
    )
    self.assertEqual(members.find('b', 'x'), [1, 2])
    for name in ('', 'aa', 'd'):
      with self.assertRaisesRegex(DataError, 'x: has no file'):
        members.find(name, 'x')

  def test_an_archive_without_files_is_empty(self):
    self.assertEmpty(Members(iter([]), 'q').names)

  def test_sorting_in_runs_equals_sorting_at_once_and_is_stable(self):
    names = [str(i * 7919 % 1000) for i in range(3000)]
    with mock.patch('facejax.data.members._RUN', 64):
      order = sorted_order(names)
    self.assertEqual(order.tolist(), sorted(range(3000), key=names.__getitem__))


class ZipTest(ArchiveCase):
  def zip(self, members, compression=zipfile.ZIP_DEFLATED):
    return write_zip(self.root / 'a.zip', members, compression)

  @parameterized.parameters('../up.jpg', '/top.jpg', 'a/../../up.jpg', 'a\\b')
  def test_member_that_climbs_out_is_refused(self, name):
    with self.assertRaisesRegex(DataError, 'unsafe member name'):
      archives.open_archive(self.zip({name: b'x'}))

  @parameterized.parameters(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
  def test_corrupt_member_is_a_data_error(self, compression):
    path = self.zip({'a/1.jpg': bytes(range(256)) * 20}, compression)
    data = bytearray(path.read_bytes())
    data[45:75] = b'\xff' * 30  # the member's data start at byte 37
    path.write_bytes(data)
    with self.assertRaisesRegex(DataError, 'corrupt'):
      archives.open_archive(path).read('a/1.jpg')

  def test_member_that_unpacks_to_too_much_is_refused(self):
    archive = archives.open_archive(self.zip({'a/1.jpg': bytes(1000)}))
    archive.MAX_BYTES = 999
    with self.assertRaisesRegex(DataError, 'too many bytes'):
      archive.read('a/1.jpg')

  def test_bomb_that_declares_too_little_is_not_unpacked_further(self):
    path = self.zip({'a/1.jpg': bytes(10_000_000)})
    data = bytearray(path.read_bytes())
    at = data.rindex(b'PK\1\2')
    struct.pack_into('<L', data, at + 24, 1000)  # the size in the table
    path.write_bytes(data)
    archive = archives.open_archive(path)
    with (
      mock.patch.object(zlib, 'crc32', side_effect=AssertionError),
      self.assertRaisesRegex(DataError, 'more than the 1000 bytes'),
    ):
      archive.read('a/1.jpg')

  def test_links_encrypted_members_and_other_methods_are_refused(self):
    path = self.root / 'a.zip'
    with zipfile.ZipFile(path, 'w') as archive:
      link = zipfile.ZipInfo('a/link.jpg')
      link.external_attr, link.create_system = 0o120777 << 16, 3
      archive.writestr(link, '/etc/passwd')
      archive.writestr('a/old.jpg', b'x' * 99, zipfile.ZIP_BZIP2)
      archive.writestr('a/shut.jpg', b'x')
    data = bytearray(path.read_bytes())
    data[data.rindex(b'PK\1\2') + 8] |= 1  # encrypted
    path.write_bytes(data)
    archive = archives.open_archive(path)
    for name, reason in (
      ('a/link.jpg', 'is a link'),
      ('a/old.jpg', 'method 12'),
      ('a/shut.jpg', 'is encrypted'),
    ):
      with self.assertRaisesRegex(DataError, reason):
        archive.read(name)

  def test_folders_are_left_out_and_leading_dots_taken_off(self):
    archive = archives.open_archive(self.zip({'./a/': b'', './a/1.jpg': b'x'}))
    self.assertEqual(archive.names(), ['a/1.jpg'])
    self.assertEqual(archive.read('a/1.jpg'), b'x')

  def test_names_of_both_encodings_and_a_comment_are_read(self):
    names = ['é/1.jpg', '王/2.jpg', 'plain/3.jpg']
    path = self.zip({name: name.encode() for name in names})
    with zipfile.ZipFile(path, 'a') as archive:
      archive.comment = b'PK\5 of the year ' * 1000
    archive = archives.open_archive(path)
    self.assertEqual(archive.names(), sorted(names))
    self.assertEqual(archive.read('王/2.jpg'), '王/2.jpg'.encode())

  def test_zip_behind_another_file_is_read(self):
    path = self.zip({'a/1.jpg': b'one'})
    path.write_bytes(b'#!/bin/sh\n' * 9 + path.read_bytes())
    self.assertEqual(archives.open_archive(path).read('a/1.jpg'), b'one')

  def test_zip64_is_read(self):
    path = self.root / 'a.zip'
    with (
      mock.patch.object(zipfile, 'ZIP64_LIMIT', 100),
      zipfile.ZipFile(path, 'w') as archive,
    ):
      for i in range(5):
        archive.writestr(f'a/{i}.jpg', bytes([i]) * 150)
    self.assertIn(b'PK\6\6', path.read_bytes())
    archive = archives.open_archive(path)
    for i in range(5):
      self.assertEqual(archive.read(f'a/{i}.jpg'), bytes([i]) * 150)

  def test_table_that_spans_many_blocks_is_read(self):
    members = {f'{i % 7}/{i:05d}.jpg': str(i).encode() for i in range(9000)}
    path = self.zip(members, zipfile.ZIP_STORED)
    with (
      mock.patch.object(zip_directory, '_BLOCK', 1 << 12),
      mock.patch.object(zip_directory, '_LONGEST_ENTRY', 1 << 8),
    ):
      archive = archives.open_archive(path)
    self.assertEqual(archive.names(), sorted(members))
    self.assertEqual(archive.read('3/00010.jpg'), b'10')

  def test_zip_cut_anywhere_or_with_flipped_bytes_is_a_data_error(self):
    path = self.zip({f'a/{i}.jpg': bytes([i]) * 50 for i in range(4)})
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
      path.write_bytes(whole[:cut])
      with self.assertRaises(DataError, msg=str(cut)):
        archives.open_archive(path)
    table = whole.index(b'PK\1\2')
    for place in range(table, len(whole)):
      path.write_bytes(
        whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
      )
      try:
        archive = archives.open_archive(path)
        for name in archive.names():
          archive.read(name)
      except DataError:
        pass  # anything else fails the test

  def test_reads_alike_from_many_threads_and_after_pickling(self):
    members = {f'a/{i}.jpg': bytes([i]) * 5000 for i in range(40)}
    archive = archives.open_archive(self.zip(members))
    archive = pickle.loads(pickle.dumps(archive))
    wrong = []

    def read_all():
      wrong.extend(n for n, data in members.items() if archive.read(n) != data)

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(wrong, [])


class RemoteTest(ArchiveCase):
  def test_folder_zip_and_tar_in_a_bucket_are_read_as_local_ones(self):
    names = ['b/2.jpg', 'a/1.jpg', 'a/deep/3.png', 'a-b/0.jpg', 'list.txt']
    members = {name: name.encode() for name in names}
    self.folder(*names)
    write_zip(self.root / 'a.zip', members, zipfile.ZIP_DEFLATED)
    write_tar(self.root / 'a.tar', members)
    write_tar(self.root / 'a.tar.xz', members, mode='w:xz')
    with remote_files(self.root) as url:
      for place in ('folder', 'a.zip', 'a.tar', 'a.tar.xz'):
        archive = archives.open_archive(f'{url}/{place}')
        self.assertEqual(archive.names(), sorted(names), msg=place)
        for name in names:
          self.assertEqual(archive.read(name), name.encode())
        for name in ('a/9.jpg', '../a.zip', '/a.zip'):
          with self.assertRaises(DataError):
            archive.read(name)

  def test_what_is_not_in_the_bucket_is_a_data_error(self):
    with (
      remote_files(self.root) as url,
      self.assertRaisesRegex(DataError, 'gs://.*does not exist'),
    ):
      archives.open_archive(f'{url}/nothing.zip')

  def test_remote_path_without_its_package_says_what_to_install(self):
    with (
      remote_files(self.root, missing='gcsfs') as url,
      self.assertRaisesRegex(UsageError, 'gs:// paths need: pip install gcsfs'),
    ):
      archives.open_archive(f'{url}/a.zip')

  def test_bucket_that_lets_nobody_in_is_one_line(self):
    class HttpError(Exception):
      pass

    with (
      remote_files(self.root) as url,
      mock.patch.object(
        fsspec.implementations.memory.MemoryFileSystem,
        'exists',
        side_effect=HttpError('401'),
      ),
      self.assertRaisesRegex(UsageError, '401.*logged in'),
    ):
      archives.open_archive(f'{url}/a.zip')

  def test_unknown_kind_of_path_names_the_known_ones(self):
    with self.assertRaisesRegex(UsageError, 'one of gs://'):
      archives.open_archive('ftp://host/a.zip')


if __name__ == '__main__':
  absltest.main()
