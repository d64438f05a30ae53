import contextlib
import io
import os
import pathlib
import tempfile
from unittest import mock

import chex
from absl.testing import parameterized
from etils import epath

from facejax import files
from facejax.errors import DataError, UsageError


class FilesTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.root = pathlib.Path(folder)

  def names(self):
    return sorted(path.name for path in self.root.iterdir())


class CacheDirectoryTest(chex.TestCase):
  @parameterized.parameters(
    ({'FACEJAX_CACHE': '/a', 'XDG_CACHE_HOME': '/b'}, '/a'),
    ({'FACEJAX_CACHE': '', 'XDG_CACHE_HOME': '/b'}, '/b/facejax'),
    (
      {'FACEJAX_CACHE': '', 'XDG_CACHE_HOME': '', 'HOME': '/c'},
      '/c/.cache/facejax',
    ),
  )
  def test_the_cache_is_the_users(self, environment, expected):
    with mock.patch.dict(os.environ, environment):
      self.assertEqual(str(files.cache_directory()), expected)


class AtomicWriteTest(FilesTestCase):
  def test_writing_makes_the_parent_and_leaves_nothing_beside(self):
    files.write_bytes(self.root / 'a' / 'b', b'new')
    self.assertEqual((self.root / 'a' / 'b').read_bytes(), b'new')
    self.assertLen(list((self.root / 'a').iterdir()), 1)

  def test_a_write_that_fails_leaves_the_old_content_alone(self):
    path = self.root / 'a'
    path.write_bytes(b'old')

    def write_half(self, data):
      with open(self, 'wb') as file:
        file.write(data[: len(data) // 2])
      raise OSError(28, 'No space left on device', str(self))

    with (
      mock.patch.object(type(epath.Path('a')), 'write_bytes', write_half),
      self.assertRaises(OSError),
    ):
      files.write_bytes(path, b'new')
    self.assertEqual(path.read_bytes(), b'old')
    self.assertEqual(self.names(), ['a'])

  def test_json_comes_back(self):
    value = {'a': [1, 2.5, None], 'b': {'c': 'ü'}}
    files.write_json(self.root / 'x.json', value)
    self.assertEqual(files.read_json(self.root / 'x.json'), value)

  def test_json_that_is_missing_or_broken_is_refused_by_name(self):
    with self.assertRaisesRegex(DataError, 'no.json does not exist'):
      files.read_json(self.root / 'no.json')
    for data in (b'{"a": ', b'\xff\xfe'):
      (self.root / 'bad.json').write_bytes(data)
      with self.assertRaisesRegex(DataError, 'bad.json is not valid JSON'):
        files.read_json(self.root / 'bad.json')


class NewDirectoryTest(FilesTestCase):
  def setUp(self):
    super().setUp()
    self.path = self.root / 'out' / 'model'

  def _make(self, content, **options):
    with files.new_directory(self.path, **options) as folder:
      (folder / 'x').write_text(content)
      return folder

  def content(self):
    return {p.name: p.read_text() for p in self.path.iterdir()}

  def siblings(self):
    return [path.name for path in self.path.parent.iterdir()]

  def test_it_appears_at_the_end_and_not_before(self):
    with files.new_directory(self.path) as folder:
      (folder / 'x').write_text('1')
      self.assertFalse(self.path.exists())
    self.assertEqual(self.content(), {'x': '1'})
    self.assertEqual(self.siblings(), ['model'])

  def test_an_empty_directory_may_stand_there(self):
    self.path.mkdir(parents=True)
    self._make('1')
    self.assertEqual(self.content(), {'x': '1'})

  def test_one_with_content_is_refused_before_any_work(self):
    self._make('1')
    with self.assertRaisesRegex(UsageError, 'already exists: choose another'):
      self._make('2')
    self.assertEqual(self.content(), {'x': '1'})

  def test_overwriting_replaces_all_of_the_old_content(self):
    self._make('1')
    (self.path / 'old').write_text('old')
    self._make('2', overwrite=True)
    self.assertEqual(self.content(), {'x': '2'})
    self.assertEqual(self.siblings(), ['model'])

  def test_a_file_is_never_replaced(self):
    self.path.parent.mkdir()
    self.path.write_text('precious')
    for overwrite in (False, True):
      with self.assertRaisesRegex(UsageError, 'is a file: choose another'):
        self._make('2', overwrite=overwrite)
    self.assertEqual(self.path.read_text(), 'precious')

  def test_a_failure_inside_keeps_the_old_content(self):
    self._make('1')
    for error in (ValueError, KeyboardInterrupt):
      with (
        self.assertRaises(error),
        files.new_directory(self.path, overwrite=True) as folder,
      ):
        (folder / 'x').write_text('2')
        raise error
    self.assertEqual(self.content(), {'x': '1'})
    self.assertEqual(self.siblings(), ['model'])

  def test_a_failure_of_the_last_move_puts_the_old_content_back(self):
    self._make('1')
    rename = type(epath.Path('a')).rename

    def fail_for_the_new(path, target):
      if target == epath.Path(self.path) and (path / 'x').read_text() == '2':
        raise OSError('disturbed')
      return rename(path, target)

    with (
      mock.patch.object(type(epath.Path('a')), 'rename', fail_for_the_new),
      self.assertRaisesRegex(OSError, 'disturbed'),
    ):
      self._make('2', overwrite=True)
    self.assertEqual(self.content(), {'x': '1'})
    self.assertEqual(self.siblings(), ['model'])


class MeasureTest(FilesTestCase):
  def test_the_checksum_is_sha256(self):
    (self.root / 'a').write_bytes(b'abc')
    self.assertEqual(
      files.checksum(self.root / 'a'),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )

  def test_directory_bytes_counts_all_files_below(self):
    (self.root / 'a').write_bytes(b'12345')
    (self.root / 'b').mkdir()
    (self.root / 'b' / 'c').write_bytes(b'123')
    self.assertEqual(files.directory_bytes(self.root), 8)

  def test_progress_passes_the_items_and_goes_to_stderr(self):
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
      contextlib.redirect_stdout(stdout),
      contextlib.redirect_stderr(stderr),
    ):
      short = files.progress([1, 2], desc='short', delay=1)
      self.assertEqual(list(short), [1, 2])
      self.assertEqual(list(files.progress([1, 2], desc='work')), [1, 2])
      files.note('a line')
    self.assertIn('work: 100%', stderr.getvalue())
    self.assertNotIn('short', stderr.getvalue())
    self.assertIn('a line\n', stderr.getvalue())
    self.assertEqual(stdout.getvalue(), '')
