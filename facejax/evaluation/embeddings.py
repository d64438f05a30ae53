"""Embeddings of named images, in memory and in an .npz."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.data.archives import open_archive
from facejax.data.protocols import PairList, resolve_names
from facejax.data.remote import is_remote
from facejax.errors import DataError
from facejax.evaluation.crops import read_pictures

_NAMES = 'names.txt'


@dataclasses.dataclass(frozen=True)
class Embeddings:
  """Raw embeddings of named images.

  Attributes:
    names: the N images, as the pair list calls them.
    plain: float [N, D], not normalised.
    flip: float [N, D], of the mirrored images, or None.
    training_mean: float [D], mean raw embedding of training faces, or None.
  """

  names: tuple[str, ...]
  plain: Float[np.ndarray, 'N D']
  flip: Float[np.ndarray, 'N D'] | None = None
  training_mean: Float[np.ndarray, ' D'] | None = None

  def save(
    self, path: files.PathLike, *, origin: dict[str, Any] | None = None
  ) -> None:
    """Writes an .npz of names, plain, flip and training_mean, atomically.

    Args:
      path: the .npz.
      origin: JSON values that say what computed them, kept beside them.
    """
    arrays = {
      'names': np.array(self.names),
      'plain': self.plain,
      'flip': self.flip,
      'training_mean': self.training_mean,
      'origin': None if origin is None else np.array(json.dumps(origin)),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in arrays.items() if v is not None})
    files.write_bytes(path, buffer.getvalue())


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
  for key in ('plain', 'flip', 'training_mean'):
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


class SavedSource:
  """Embeddings that somebody saved, from whatever model.

  The .npz holds `names` (strings [N]), `plain` (float [N, D], not
  normalised) and, where they are known, `flip` (float [N, D]) and
  `training_mean` (float [D]); those of ours say their `origin` (a JSON
  object: model, packed, preprocessing). Where they are many, a folder may stand
  for it: names.txt, one a line, and each of the others as a .npy file; those
  stay on disk, and only what is asked for is read.
  """

  def __init__(
    self, path: files.PathLike, *, images: files.PathLike | None = None
  ):
    """Reads the file.

    Args:
      path: the .npz, or the folder.
      images: folder, zip or tar of the images, for reports that show some.

    Raises:
      DataError: it cannot be read, or its arrays do not fit each other.
    """
    self._images = None if images is None else open_archive(images)
    self._where = str(images)
    self.path = files.Path(path)
    self.name = str(self.path.with_suffix(''))
    arrays = _read_arrays(self.path)
    for key in ('names', 'plain'):
      if key not in arrays:
        raise DataError(
          f'{self.path} has no array {key!r}, only {sorted(arrays)}: it needs '
          'names [N], plain [N, D] and, for the mirrored images, flip [N, D]'
        )
    names, plain = arrays['names'], arrays['plain']
    if plain.ndim != 2 or not plain.shape[1]:
      raise DataError(
        f'{self.path}: plain has shape {list(plain.shape)}, expected [N, D]'
      )
    shapes = {
      'names': plain.shape[:1],
      'plain': plain.shape,
      'flip': plain.shape,
      'training_mean': plain.shape[1:],
    }
    for key, shape in shapes.items():
      if key in arrays and arrays[key].shape != shape:
        raise DataError(
          f'{self.path}: {key} has shape {list(arrays[key].shape)}, '
          f'expected {list(shape)}'
        )
      kinds = 'U' if key == 'names' else 'f'
      if key in arrays and arrays[key].dtype.kind not in kinds:
        kind = 'text' if key == 'names' else 'floating-point numbers'
        raise DataError(
          f'{self.path}: {key} is of type {arrays[key].dtype}: save {kind}'
        )
    self._rows = {str(name): row for row, name in enumerate(names)}
    if len(self._rows) != len(names):
      raise DataError(f'{self.path}: some names stand there twice')
    self._plain, self._flip = plain, arrays.get('flip')
    self.training_mean = arrays.get('training_mean')
    self.has_flip = self._flip is not None
    self._origin = self._read_origin(arrays.get('origin'))

  def _read_origin(self, origin: np.ndarray | None) -> dict[str, Any]:
    """What computed the embeddings, as far as the file says it."""
    unknown = dict.fromkeys(('model', 'packed', 'preprocessing'))
    if origin is None:
      return unknown
    try:
      found = json.loads(str(origin))
      return {key: found[key] for key in unknown}
    except (json.JSONDecodeError, KeyError, TypeError):
      raise DataError(
        f'{self.path}: origin is no JSON object of {", ".join(unknown)}'
      ) from None

  def names(self) -> Sequence[str]:
    """Names of all images, sorted."""
    return sorted(self._rows)

  def pictures(self, names: Sequence[str]) -> list[bytes] | None:
    """Encoded images, if the images were given."""
    if self._images is None:
      return None
    return read_pictures(self._images, names, where=self._where)

  def pair_list(self) -> PairList | None:
    """None: embeddings bring no pairs."""
    return None

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Looks the images up.

    Raises:
      DataError: one is missing; names it.
    """
    if all(name in self._rows for name in names):
      rows = np.array([self._rows[name] for name in names], np.int64)
    else:
      found = resolve_names(names, self._rows, where=str(self.path))
      rows = np.array([self._rows[found[name]] for name in names], np.int64)
    flip = flip and self.has_flip
    return Embeddings(
      names=tuple(names),
      plain=self._plain[rows],
      flip=self._flip[rows] if flip else None,
      training_mean=self.training_mean,
    )

  def describe(self) -> dict[str, Any]:
    """JSON values for a report; of embeddings by others no model is known."""
    return self._origin | {'embeddings': str(self.path)}

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the embeddings, if there is one."""
    path = self.path.parent / name
    return path if path.exists() else None
