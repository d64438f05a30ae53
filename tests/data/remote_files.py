"""A bucket in memory behind the gs:// paths of the path library."""

import contextlib
import pathlib
import uuid
from collections.abc import Iterator
from unittest import mock

import fsspec
from etils.epath import backend, gpath


@contextlib.contextmanager
def remote_files(root: pathlib.Path, *, missing: str = '') -> Iterator[str]:
  """Yields the URL of a bucket that holds what a local folder does.

  Args:
    root: copied into the bucket.
    missing: name of a package: opening the bucket then fails as it does where
      that is not installed.
  """
  memory = fsspec.filesystem('memory')
  url = f'gs://test-{uuid.uuid4().hex}'
  for path in root.rglob('*'):
    if path.is_file():
      memory.pipe_file(f'{url}/{path.relative_to(root)}', path.read_bytes())

  def file_system(
    self: backend.Backend, path: str
  ) -> fsspec.AbstractFileSystem:
    assert path.startswith(url), path
    if missing:
      raise ImportError(f'Install {missing} to access it')
    return memory

  with (
    mock.patch.object(backend._FileSystemSpecBackend, 'fs', file_system),
    mock.patch.object(gpath, '_is_tf_installed', lambda: False),
  ):
    yield url
