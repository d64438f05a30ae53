import os
import pathlib
import pickle
import tempfile
import threading
import zipfile

import chex
from absl.testing import absltest, parameterized

from facejax.data import archives
from facejax.errors import DataError
from tests.preparation.face_sets import write_zip


class ArchivesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def folder(self, *names):
    root = self.root / 'folder'
    for name in names:
      path = root / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(name.encode())
    return root

  def test_folder_and_zip_list_and_read_the_same(self):
    names = ['b/2.jpg', 'a/1.jpg', 'a/deep/3.png', 'list.txt']
    folder = archives.open_archive(self.folder(*names))
    packed = archives.open_archive(
      write_zip(self.root / 'a.zip', {name: name.encode() for name in names})
    )
    self.assertEqual(folder.names(), sorted(names))
    self.assertEqual(packed.names(), sorted(names))
    for name in names:
      self.assertEqual(folder.read(name), name.encode())
      self.assertEqual(packed.read(name), name.encode())

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

  @parameterized.parameters('../up.jpg', '/top.jpg', 'a/../../up.jpg')
  def test_zip_member_that_climbs_out_is_refused(self, name):
    path = write_zip(self.root / 'bad.zip', {name: b'x'})
    with self.assertRaisesRegex(DataError, 'unsafe member name'):
      archives.open_archive(path).names()

  @parameterized.parameters(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
  def test_corrupt_zip_member_is_a_data_error(self, compression):
    path = self.root / 'a.zip'
    with zipfile.ZipFile(path, 'w', compression) as archive:
      archive.writestr('a/1.jpg', bytes(range(256)) * 20)
    data = bytearray(path.read_bytes())
    data[45:75] = b'\xff' * 30  # the member's data start at byte 37
    path.write_bytes(data)
    with self.assertRaisesRegex(DataError, 'corrupt'):
      archives.open_archive(path).read('a/1.jpg')

  def test_member_that_unpacks_to_too_much_is_refused(self):
    path = write_zip(self.root / 'a.zip', {'a/1.jpg': bytes(1000)})
    archive = archives.open_archive(path)
    archive.MAX_BYTES = 999
    with self.assertRaisesRegex(DataError, 'too many bytes'):
      archive.read('a/1.jpg')

  def test_missing_place_and_wrong_kind_say_what_to_give(self):
    (self.root / 'a.txt').write_text('x')
    (self.root / 'b.zip').write_text('no zip')
    for name, message in (
      ('nothing', 'does not exist'),
      ('a.txt', 'expected a folder or a .zip'),
      ('b.zip', 'no readable zip'),
    ):
      with self.assertRaisesRegex(DataError, message):
        archives.open_archive(self.root / name)

  def test_zip_reads_alike_from_many_threads_and_after_pickling(self):
    members = {f'a/{i}.jpg': bytes([i]) * 5000 for i in range(40)}
    archive = archives.open_archive(write_zip(self.root / 'a.zip', members))
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


if __name__ == '__main__':
  absltest.main()
