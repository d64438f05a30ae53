"""Named crops of a folder, an archive or a prepared set, and their outputs.

People are the folders that images lie in; an image in no folder is a person by
itself. A file that cannot be read, or is no aligned crop, is listed and left
out.
"""

import dataclasses
import posixpath
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Int, UInt8
from facejax.data.archives import image_names, open_archive
from facejax.data.images import decode_image
from facejax.data.manifest import MANIFEST
from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation.crops import embed_padded, read_crop
from facejax.evaluation.sources import FaceModel
from facejax.files import Path, PathLike
from facejax.search.results import Probes

_THREADS = 8
_READ = 1024  # records whose names are read at a time
# Gives the crop of the image at a place, uint8 [112, 112, 3].
Read = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class FaceSet:
  """Aligned crops that have names.

  Attributes:
    path: where they are.
    names: 'IDENTITY/file' of N images, all different.
    read: gives a crop; raises DataError.
  """

  path: str
  names: Sequence[str]
  read: Read

  def person(self, place: int) -> str:
    """Whom an image shows."""
    name = self.names[place]
    return posixpath.basename(posixpath.dirname(name)) or name


@dataclasses.dataclass(frozen=True)
class EmbeddedBatch:
  """Some images of a set that could be read.

  Attributes:
    places: int64 [B], in the set.
    probes: their embeddings and, of a model with a hash layer, logits.
  """

  places: Int[np.ndarray, ' B']
  probes: Probes


def _read_record(
  records: FaceRecords, place: int
) -> UInt8[np.ndarray, '112 112 3']:
  record = records[place]
  image = decode_image(record['image'], record['key'])
  if image.shape[:2] != CANONICAL_SIZE:
    raise DataError(f'{record["key"]}: is no crop of 112x112')
  return image


def open_faces(path: PathLike) -> FaceSet:
  """Opens a folder, zip, tar or `.bin` of aligned crops, or a prepared set.

  Raises:
    DataError: it cannot be read, has no images, or a name is no text.
  """
  if (Path(path) / MANIFEST).exists():
    records = FaceRecords(path)
    names = [
      record['key']
      for start in range(0, len(records), _READ)
      for record in records.__getitems__(
        range(start, min(start + _READ, len(records)))
      )
    ]
    return FaceSet(str(path), names, lambda at: _read_record(records, at))
  archive = open_archive(path)
  names = list(image_names(archive))
  if not names:
    raise DataError(f'{path}: has no images: expected IDENTITY/image.jpg')
  return FaceSet(str(path), names, lambda at: read_crop(archive, names[at]))


class FaceReader:
  """Embeds the images of sets, and keeps a list of those it cannot read.

  Attributes:
    rejected: (name, reason) of images that were left out.
    num_images: that were embedded.
    seconds: spent in the model.
  """

  def __init__(self, model: FaceModel, *, batch_size: int = 128):
    """Takes a model.

    Args:
      model: what `facejax.load_model` returned.
      batch_size: images in one call of it.
    """
    self._model, self._batch_size = model, batch_size
    self.rejected: list[tuple[str, str]] = []
    self.num_images = 0
    self.seconds = 0.0

  def embed(
    self, faces: FaceSet, places: Int[np.ndarray, ' B'] | None = None
  ) -> Iterator[EmbeddedBatch]:
    """Yields images in batches, the next being read while one is embedded.

    Args:
      faces: the set.
      places: int64, of the images that are wanted; None takes all.
    """
    if places is None:
      places = np.arange(len(faces.names))
    size = self._batch_size
    blocks = [places[at : at + size] for at in range(0, len(places), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
      ahead: list[Any] = []
      for block in files.progress(
        [*blocks, None],  # behind the last one, only the waiting is embedded
        desc=f'embedding {posixpath.basename(faces.path.rstrip("/"))}',
        unit='batch',
        total=len(blocks),
        delay=1,
      ):
        waiting = ahead
        ahead = [] if block is None else self._read(pool, faces, block)
        if waiting and (batch := self._embed(faces, waiting)) is not None:
          yield batch

  def _read(
    self, pool: ThreadPoolExecutor, faces: FaceSet, block: Int[np.ndarray, ' B']
  ) -> list[Any]:
    return [(place, pool.submit(faces.read, place)) for place in block.tolist()]

  def _embed(self, faces: FaceSet, waiting: list[Any]) -> EmbeddedBatch | None:
    """The crops of a block that could be read, embedded."""
    kept, crops = [], []
    for place, reading in waiting:
      try:
        crops.append(reading.result())
        kept.append(place)
      except DataError as error:
        self.rejected.append((faces.names[place], str(error)))
        files.note(f'left out: {error}')
    if not kept:
      return None
    start = time.perf_counter()
    probes = self._outputs(np.stack(crops))
    self.seconds += time.perf_counter() - start
    self.num_images += len(kept)
    return EmbeddedBatch(np.array(kept), probes)

  def _outputs(self, images: UInt8[np.ndarray, 'B 112 112 3']) -> Probes:
    """Of a whole batch, so that one size is compiled."""
    model = self._model
    if not model.hash_bits:
      return Probes(embed_padded(model.embed, images, self._batch_size))
    count, size = len(images), self._batch_size
    more = ((0, size - count), (0, 0), (0, 0), (0, 0))
    embeddings, logits = model.embed_and_hash(np.pad(images, more))
    return Probes(embeddings[:count], logits[:count])

  def probes(self, faces: FaceSet) -> tuple[list[str], list[str], Probes]:
    """All images of a set to look up: their names, people, and outputs.

    Raises:
      DataError: none could be read.
    """
    batches = list(self.embed(faces))
    if not batches:
      raise DataError(f'{faces.path}: none of its images could be read')
    places = np.concatenate([batch.places for batch in batches]).tolist()
    logits = [batch.probes.logits for batch in batches]
    return (
      [faces.names[place] for place in places],
      [faces.person(place) for place in places],
      Probes(
        np.concatenate([batch.probes.embeddings for batch in batches]),
        None if logits[0] is None else np.concatenate(logits),
      ),
    )

  def write_rejected(self, path: PathLike) -> None:
    """Writes name, tab, reason of every image that was left out."""
    lines = [f'{name}\t{reason}\n' for name, reason in self.rejected]
    files.write_bytes(path, ''.join(lines).encode('utf-8', 'surrogateescape'))
