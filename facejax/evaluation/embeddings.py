"""Embeddings of named images, in memory and in an .npz."""

import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.data.archives import open_archive
from facejax.data.protocols import PairList, resolve_names
from facejax.errors import DataError
from facejax.evaluation.crops import read_pictures
from facejax.evaluation.embedding_files import read_embeddings


@dataclasses.dataclass(frozen=True)
class Embeddings:
  """Raw embeddings of named images.

  Attributes:
    names: the N images, as the pair list calls them.
    plain: float [N, D], not normalised.
    flip: float [N, D], of the mirrored images, or None.
    training_mean: float [D], mean raw embedding of training faces, or None.
    logits: float [N, L], hash logits of the images as they are, never of the
      mirrored ones; None without a hash layer.
  """

  names: tuple[str, ...]
  plain: Float[np.ndarray, 'N D']
  flip: Float[np.ndarray, 'N D'] | None = None
  training_mean: Float[np.ndarray, ' D'] | None = None
  logits: Float[np.ndarray, 'N L'] | None = None

  def save(
    self, path: files.PathLike, *, origin: dict[str, Any] | None = None
  ) -> None:
    """Writes an .npz of all that there is, atomically.

    Args:
      path: the .npz.
      origin: JSON values that say what computed them, kept beside them.
    """
    arrays = {
      'names': np.array(self.names),
      'plain': self.plain,
      'flip': self.flip,
      'training_mean': self.training_mean,
      'logits': self.logits,
      'origin': None if origin is None else np.array(json.dumps(origin)),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in arrays.items() if v is not None})
    files.write_bytes(path, buffer.getvalue())


class SavedSource:
  """Embeddings that somebody saved, from whatever model.

  The .npz holds `names` (strings [N]), `plain` (float [N, D], not
  normalised) and, where they are known, `flip` (float [N, D]), `logits` of a
  hash layer (float [N, L]) and `training_mean` (float [D]); those of ours say
  their `origin` (a JSON object: model, packed, preprocessing). Where they are
  many, a folder may stand for it: names.txt, one a line, and each of the
  others as a .npy file; those stay on disk, and only what is asked for is
  read.
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
    arrays = read_embeddings(self.path)
    names = arrays['names']
    self._rows = {str(name): row for row, name in enumerate(names)}
    if len(self._rows) != len(names):
      raise DataError(f'{self.path}: some names stand there twice')
    self._plain, self._flip = arrays['plain'], arrays.get('flip')
    self._logits = arrays.get('logits')
    self.training_mean = arrays.get('training_mean')
    self.has_flip = self._flip is not None
    self.hash_bits = 0 if self._logits is None else self._logits.shape[1]
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
      logits=None if self._logits is None else self._logits[rows],
    )

  def describe(self) -> dict[str, Any]:
    """JSON values for a report; of embeddings by others no model is known."""
    bits = {'hash_bits': self.hash_bits} if self.hash_bits else {}
    return self._origin | bits | {'embeddings': str(self.path)}

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the embeddings, if there is one."""
    path = self.path.parent / name
    return path if path.exists() else None
