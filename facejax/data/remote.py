"""Remote paths: usable with what is installed, or one line that says how."""

import os

from facejax.errors import UsageError
from facejax.files import Path, PathLike

# What the path library reads each kind of place with, where TensorFlow is not
# installed.
_PACKAGES = {
  'gs': 'gcsfs',
  's3': 's3fs',
  'az': 'adlfs',
  'hf': 'huggingface_hub',
}


def is_remote(path: PathLike) -> bool:
  """Whether a path names a place on no local disk."""
  return '://' in os.fspath(path)


def absolute(path: PathLike) -> str:
  """The whole path, by which two ways to name one place can be compared."""
  if is_remote(path):
    return os.fspath(path).rstrip('/')
  return os.path.abspath(path)


def check_reachable(path: PathLike) -> Path:
  """A path whose kind can be read here.

  Args:
    path: local, or a URL such as gs://bucket/faces.

  Raises:
    UsageError: the kind is unknown, needs a package that is not installed, or
      the bucket does not let us in.
  """
  text = os.fspath(path)
  scheme = text.partition('://')[0]
  if not is_remote(text):
    return Path(path)
  if scheme not in _PACKAGES:
    known = ', '.join(f'{name}://' for name in _PACKAGES)
    raise UsageError(f'{text}: use a local path or one of {known}')
  try:
    Path(path).exists()
  except ImportError:
    raise UsageError(
      f'{text}: {scheme}:// paths need: pip install {_PACKAGES[scheme]}'
    ) from None
  except Exception as error:  # the clients of buckets raise kinds of their own
    raise UsageError(
      f'{text}: cannot be reached ({error}): check the name, and that you are '
      'logged in'
    ) from None
  return Path(path)
