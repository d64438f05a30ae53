"""Embeddings of named images, in memory and in an .npz."""

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.data.protocols import resolve_names
from facejax.errors import DataError


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

  def save(self, path: files.PathLike) -> None:
    """Writes an .npz of names, plain, flip and training_mean, atomically."""
    arrays = {
      'names': np.array(self.names),
      'plain': self.plain,
      'flip': self.flip,
      'training_mean': self.training_mean,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in arrays.items() if v is not None})
    files.write_bytes(path, buffer.getvalue())


def _read_npz(path: files.Path) -> dict[str, np.ndarray]:
  """Arrays of an .npz; nothing in it is ever unpickled."""
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
      return {key: archive[key] for key in archive.files}
  except OSError as error:
    raise DataError(
      f'{path}: the embeddings cannot be read ({error.strerror or error})'
    ) from None
  except (ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
    raise DataError(f'{path}: is no .npz of plain arrays ({error})') from None


class SavedSource:
  """Embeddings that somebody saved, from whatever model.

  The .npz holds `names` (strings [N]), `plain` (float [N, D], not
  normalised) and, where they are known, `flip` (float [N, D]) and
  `training_mean` (float [D]).
  """

  def __init__(self, path: files.PathLike):
    self.path = files.Path(path)
    self.name = str(self.path.with_suffix(''))
    arrays = _read_npz(self.path)
    for key in ('names', 'plain'):
      if key not in arrays:
        raise DataError(
          f'{self.path} has no array {key!r}, only {sorted(arrays)}: it needs '
          'names [N], plain [N, D] and, for the mirrored images, flip [N, D]'
        )
    names, plain = arrays['names'], arrays['plain']
    if plain.ndim != 2:
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
        raise DataError(f'{self.path}: {key} is of type {arrays[key].dtype}')
    self._rows = {str(name): row for row, name in enumerate(names)}
    if len(self._rows) != len(names):
      raise DataError(f'{self.path}: some names stand there twice')
    self._plain, self._flip = plain, arrays.get('flip')
    self.training_mean = arrays.get('training_mean')
    self.has_flip = self._flip is not None

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Looks the images up.

    Raises:
      DataError: one is missing; names it.
    """
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
    """JSON values for a report; nothing is known about the model."""
    return {
      'model': None,
      'packed': None,
      'preprocessing': None,
      'embeddings': str(self.path),
    }

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the embeddings, if there is one."""
    path = self.path.parent / name
    return path if path.exists() else None
