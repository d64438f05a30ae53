"""Files of embeddings: an .npz, or a folder of arrays that stay on disk."""

import io
import zipfile

import numpy as np

from facejax import files
from facejax.data.remote import is_remote
from facejax.errors import DataError
from facejax.ops.hamming import BITS_PER_BYTE

_NAMES = 'names.txt'


def _read_npz(path: files.Path) -> dict[str, np.ndarray]:
  """Arrays of an .npz; nothing in it is ever unpickled.

  A local file is read in place, so that no second copy of it is in memory.
  """
  local = not is_remote(path)
  place = path if local else io.BytesIO(path.read_bytes())
  archive = np.load(place, allow_pickle=False)
  if isinstance(archive, np.ndarray):
    raise ValueError('a single array, of np.save')
  with archive:
    return {key: archive[key] for key in archive.files}


def _read_folder(path: files.Path) -> dict[str, np.ndarray]:
  """Names of names.txt, and .npy files that stay on disk until they are used.

  Raises:
    DataError: a file of names is missing or is no text.
  """
  try:
    names = (path / _NAMES).read_bytes().decode()
  except (OSError, UnicodeDecodeError):
    raise DataError(
      f'{path}: expected {_NAMES}, UTF-8 text of one image a line, beside '
      'plain.npy'
    ) from None
  arrays = {'names': np.array(names.removesuffix('\n').split('\n'), str)}
  for key in ('plain', 'flip', 'training_mean', 'logits'):
    if (path / f'{key}.npy').exists():
      arrays[key] = np.load(
        path / f'{key}.npy', mmap_mode='r', allow_pickle=False
      )
  return arrays


def is_embeddings_folder(path: files.PathLike) -> bool:
  """Whether a folder holds embeddings in the form that SavedSource reads."""
  path = files.Path(path)
  return not is_remote(path) and (path / 'plain.npy').exists()


def _read_arrays(path: files.Path) -> dict[str, np.ndarray]:
  """Arrays of an .npz or of a folder, by name.

  Raises:
    DataError: they cannot be read, or are of another form.
  """
  try:
    return _read_folder(path) if path.is_dir() else _read_npz(path)
  except OSError as error:
    raise DataError(
      f'{path}: the embeddings cannot be read ({error.strerror or error})'
    ) from None
  except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
    raise DataError(f'{path}: is no .npz of plain arrays ({error})') from None


def _check_arrays(path: files.Path, arrays: dict[str, np.ndarray]) -> None:
  """Refuses arrays that are missing or do not fit each other."""
  for key in ('names', 'plain'):
    if key not in arrays:
      raise DataError(
        f'{path} has no array {key!r}, only {sorted(arrays)}: it needs '
        'names [N], plain [N, D] and, for the mirrored images, flip [N, D]'
      )
  plain = arrays['plain']
  if plain.ndim != 2 or not plain.shape[1]:
    raise DataError(
      f'{path}: plain has shape {list(plain.shape)}, expected [N, D]'
    )
  bits = (arrays['logits'].shape if 'logits' in arrays else ())[-1:]
  shapes = {
    'names': plain.shape[:1],
    'plain': plain.shape,
    'flip': plain.shape,
    'training_mean': plain.shape[1:],
    'logits': (len(plain), *bits),
  }
  for key, shape in shapes.items():
    if key in arrays and arrays[key].shape != shape:
      raise DataError(
        f'{path}: {key} has shape {list(arrays[key].shape)}, '
        f'expected {list(shape)}'
      )
    kinds = 'U' if key == 'names' else 'f'
    if key in arrays and arrays[key].dtype.kind not in kinds:
      kind = 'text' if key == 'names' else 'floating-point numbers'
      raise DataError(
        f'{path}: {key} is of type {arrays[key].dtype}: save {kind}'
      )
  if bits and (not bits[0] or bits[0] % BITS_PER_BYTE):
    raise DataError(
      f'{path}: logits are of {bits[0]} bits, expected a multiple of '
      f'{BITS_PER_BYTE}'
    )


def read_embeddings(path: files.Path) -> dict[str, np.ndarray]:
  """Arrays of an .npz or a folder that fit each other, by name.

  Args:
    path: holds names [N], plain [N, D] and, where they are known, flip [N, D],
      training_mean [D], logits [N, L], and origin, a JSON text. Those of a
      folder stay on disk until they are used.

  Raises:
    DataError: it cannot be read, or an array is missing or does not fit; says
      which, and how it should be.
  """
  arrays = _read_arrays(path)
  _check_arrays(path, arrays)
  return arrays
