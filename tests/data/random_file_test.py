import os
import pathlib
import pickle
import tempfile
import threading

import chex
from absl.testing import absltest

from facejax.data.random_file import RandomFile
from facejax.errors import DataError

CONTENT = bytes(range(256)) * 40


class RandomFileTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.path = root / 'file.bin'
    self.path.write_bytes(CONTENT)

  def test_any_span_comes_back_from_many_threads_and_after_pickling(self):
    file = RandomFile(self.path)
    self.assertEqual(file.size, len(CONTENT))
    file = pickle.loads(pickle.dumps(file))
    wrong = []

    def read_all():
      for offset in range(0, len(CONTENT), 37):
        data = file.read(offset, min(100, len(CONTENT) - offset))
        if data != CONTENT[offset : offset + 100]:
          wrong.append(offset)

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(wrong, [])
    self.assertEqual(file.read(len(CONTENT), 0), b'')

  def test_a_remote_stream_reads_the_same_as_a_local_file(self):
    local, remote = RandomFile(self.path), RandomFile(self.path)
    remote._stream = self.enterContext(self.path.open('rb'))
    remote._lock = threading.Lock()
    for offset, length in ((0, 5), (9000, 1240), (17, 0)):
      self.assertEqual(remote.read(offset, length), local.read(offset, length))

  def test_what_is_not_in_the_file_is_a_data_error(self):
    file = RandomFile(self.path)
    for offset, length in ((0, 10241), (10240, 1), (-1, 2), (0, -1)):
      with self.assertRaisesRegex(
        DataError, 'cut short: it ends at byte 10240'
      ):
        file.read(offset, length)

  def test_a_file_that_shrinks_while_open_says_so(self):
    file = RandomFile(self.path)
    os.truncate(self.path, 100)
    with self.assertRaisesRegex(DataError, 'nothing stands at byte 100 any'):
      file.read(90, 20)

  def test_missing_and_wrong_kinds_of_file_are_data_errors(self):
    for path, message in (
      (self.path.parent / 'none', 'does not exist'),
      (self.path.parent, 'is not a file'),
    ):
      with self.assertRaisesRegex(DataError, message):
        RandomFile(path)

  def test_the_descriptor_goes_back_with_the_last_reference(self):
    file = RandomFile(self.path)
    descriptor = file._descriptor
    del file
    with self.assertRaises(OSError):
      os.fstat(descriptor)
    file = RandomFile(self.path)
    file.close()
    with self.assertRaisesRegex(DataError, 'cannot be read at byte 0'):
      file.read(0, 1)


if __name__ == '__main__':
  absltest.main()
