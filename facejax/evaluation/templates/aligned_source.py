"""Embeddings of faces that are cut out of photos by listed landmarks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Float, UInt8
from facejax.data.alignment import align_face
from facejax.data.archives import image_names, open_archive
from facejax.data.images import decode_image, encode_jpeg
from facejax.data.protocols import PairList, resolve_names
from facejax.errors import DataError
from facejax.evaluation.crops import embed_batches, read_batches
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.sources import FaceModel


class AlignedSource:
  """Embeds photos with a model, each aligned by its five landmarks.

  Satisfies `EmbeddingSource`. The photos are read once, aligned to the
  112 x 112 template and embedded batch by batch.
  """

  has_flip = True
  hash_bits = 0  # templates have no codes

  def __init__(
    self,
    model: FaceModel,
    data: files.PathLike,
    names: Sequence[str],
    landmarks: Float[np.ndarray, 'N 5 2'],
    *,
    folder: str = '',
    batch_size: int = 128,
    name: str = 'model',
  ):
    """Opens the photos.

    Args:
      model: what `facejax.load_model` returned.
      data: folder, zip or tar of photos, under any top folder.
      names: of the N photos.
      landmarks: float [N, 5, 2], (x, y) in pixels of the photo.
      folder: photos lie below a folder of this name, wherever there is one:
        others of the same name elsewhere do not count then.
      batch_size: images in one call of the model.
      name: what reports call the model.

    Raises:
      DataError: the data cannot be opened.
    """
    self.model = model
    self.data = files.Path(data)
    self.name = name
    self.training_mean = model.training_mean
    self._names, self._landmarks = names, landmarks
    self._folder, self._batch_size = folder, batch_size
    self._archive = open_archive(data)

  def names(self) -> Sequence[str]:
    """Names of all listed photos, sorted."""
    return sorted(self._names)

  def _resolve(self, names: Sequence[str]) -> dict[str, str]:
    """The archive's name of every photo that is asked for."""
    available = image_names(self._archive)
    inside = [
      name for name in available if self._folder in name.split('/')[:-1]
    ]
    return resolve_names(names, inside or available, where=str(self.data))

  def _reader(self, names: Sequence[str]):
    """What cuts one of these photos; it holds their places, no pixels."""
    members = self._resolve(names)
    wanted = set(names)
    row_of = {
      name: row for row, name in enumerate(self._names) if name in wanted
    }
    unlisted = wanted - row_of.keys()
    if unlisted:
      raise DataError(f'{min(unlisted)} has no landmarks in the list')

    def read(name: str) -> UInt8[np.ndarray, '112 112 3']:
      member = members[name]
      photo = decode_image(self._archive.read(member), member)
      try:
        return align_face(photo, self._landmarks[row_of[name]])
      except DataError as error:
        raise DataError(f'{self.data}, {member}: {error}') from None

    return read

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Reads, aligns and embeds every photo once.

    Returns:
      Raw embeddings, float32.

    Raises:
      DataError: a photo is missing, cannot be read or its landmarks belong to
        no face; names it.
    """
    plain, flipped = embed_batches(
      lambda images: self.model.embed(images, normalize=False),
      read_batches(self._reader(names), names, batch_size=self._batch_size),
      count=len(names),
      batch_size=self._batch_size,
      flip=flip,
    )
    return Embeddings(
      names=tuple(names),
      plain=plain,
      flip=flipped,
      training_mean=self.training_mean,
    )

  def pictures(self, names: Sequence[str]) -> list[bytes]:
    """The aligned faces as JPEG files.

    Raises:
      DataError: as of `embed`.
    """
    read = self._reader(names)
    return [encode_jpeg(read(name)) for name in names]

  def pair_list(self) -> PairList | None:
    """None: photos bring no pairs."""
    return None

  def describe(self) -> dict[str, Any]:
    """JSON values for a report."""
    return {
      'model': self.name,
      'packed': self.model.is_packed,
      'preprocessing': self.model.preprocessing.to_json(),
      'alignment': 'five listed landmarks to the 112x112 template',
      'data': str(self.data),
    }

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the data, if there is one."""
    path = self.data.parent / name
    return path if path.exists() else None
