"""Embeddings of a prepared set and of a test set, from a model or a file."""

import io
import itertools
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import facejax
from facejax import files
from facejax.data.archives import Archive, image_names, open_archive
from facejax.data.images import decode_image
from facejax.data.manifest import MANIFEST
from facejax.data.names import NameTable
from facejax.data.protocols import resolve_names
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation.embeddings import SavedSource
from facejax.evaluation.sources import FaceModel, ModelSource
from facejax.files import Path, PathLike
from facejax.preparation.embedded_faces import EmbeddedFaces, no_images
from facejax.preparation.record_embedding import embed_records

EMBEDDINGS = 'embeddings.npy'
_READ = 1024  # records whose names are read at a time


def _keys_of(records: FaceRecords) -> Callable[[Sequence[int]], list[str]]:
  return lambda places: [r['key'] for r in records.__getitems__(places)]


def _images_of(
  records: FaceRecords,
) -> Callable[[Sequence[int]], list[np.ndarray]]:
  return lambda places: [
    decode_image(r['image'], r['key']) for r in records.__getitems__(places)
  ]


def _read_rows(path: Path, records: FaceRecords) -> np.ndarray:
  """Rows [N, D] of an .npy in the order of the records, mapped if local."""
  try:
    rows = np.load(path, mmap_mode='r', allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise DataError(f'{path}: is no .npy of numbers ({error})') from None
  if rows.ndim != 2 or rows.dtype.kind != 'f' or rows.shape[0] != len(records):
    raise DataError(
      f'{path}: {rows.dtype} {list(rows.shape)}, expected floats '
      f'[{len(records)}, D], a row for every record of {records.directory}'
    )
  return rows


def _read_named(path: Path, names: Sequence[str]) -> np.ndarray:
  """Embeddings [N, D] of an .npz by name; with mirrored ones, their sum."""
  found = SavedSource(path).embed(names, flip=True)
  return found.plain if found.flip is None else found.plain + found.flip


def _names_in(path: Path) -> NameTable:
  """The names that an .npz of embeddings holds."""
  SavedSource(path)  # refuses what is no such file
  with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
    return NameTable.of(map(str, arrays['names']))


def _all_keys(records: FaceRecords) -> NameTable:
  """The names of all records, for which every one is read."""
  starts = range(0, len(records), _READ)
  blocks = (
    _keys_of(records)(range(start, min(start + _READ, len(records))))
    for start in files.progress(starts, desc='names', unit='block')
  )
  return NameTable.of(itertools.chain.from_iterable(blocks))


def open_prepared(
  directory: PathLike,
  *,
  model: FaceModel | None,
  embeddings: PathLike | None,
  folder: PathLike,
  batch_size: int,
) -> EmbeddedFaces:
  """A prepared set with the embeddings of its faces.

  Args:
    directory: the set.
    model: embeds the faces into embeddings.npy.
    embeddings: instead of a model, an .npz of names ('IDENTITY/file'), plain
      and maybe flip, or an .npy of rows in the order of the records.
    folder: where embeddings.npy goes.
    batch_size: images in one call of the model.

  Raises:
    DataError: an image has no embedding, or what is given cannot be read.
  """
  records = FaceRecords(directory)
  if model is not None:
    path = Path(folder) / EMBEDDINGS
    vectors = embed_records(model, records, path, batch_size=batch_size)
  elif Path(embeddings).suffix == '.npy':
    vectors = _read_rows(Path(embeddings), records)
  else:
    vectors = _read_named(Path(embeddings), _all_keys(records))
  return _recorded_faces(records, vectors)


def _recorded_faces(records: FaceRecords, vectors: Any) -> EmbeddedFaces:
  """Faces of a prepared set; `vectors` float [N, D] in its order."""
  return EmbeddedFaces(
    vectors,
    records.labels(),
    records.identities,
    _keys_of(records),
    _images_of(records),
  )


def _identity(name: str) -> str:
  """The folder that an image lies in; one in no folder is a person by itself.

  The images of a .bin, which names nobody, are such.
  """
  return posixpath.basename(posixpath.dirname(name)) or name


def _named_faces(
  names: Sequence[str],
  vectors: Any,
  archive: Archive | None = None,
  members: Mapping[str, str] | None = None,
) -> EmbeddedFaces:
  """Faces by name, put into the order of their identities.

  Args:
    names: 'IDENTITY/image.jpg' of N images.
    vectors: float [N, D].
    archive: of the images, if they are at hand.
    members: the archive's name of every image; the same by default.
  """
  people = [_identity(name) for name in names]
  identities, labels = np.unique(people, return_inverse=True)
  order = np.argsort(labels, kind='stable')

  def images(places: Sequence[int]) -> list[np.ndarray]:
    chosen = [names[order[place]] for place in places]
    chosen = [members[name] if members else name for name in chosen]
    return [decode_image(archive.read(name), name) for name in chosen]

  return EmbeddedFaces(
    vectors[order],
    labels[order].astype(np.int32),
    NameTable.of(map(str, identities)),
    lambda places: [names[order[place]] for place in places],
    no_images if archive is None else images,
  )


def open_test_set(
  *,
  data: PathLike | None,
  model: FaceModel | None,
  embeddings: PathLike | None,
  folder: PathLike,
  batch_size: int,
) -> EmbeddedFaces:
  """A test set with the embeddings of its faces.

  Args:
    data: folder, archive or .bin of aligned crops, IDENTITY/image.jpg, or a
      prepared set; with `embeddings` it is needed for pictures only.
    model: embeds them, unless `embeddings` are given.
    embeddings: an .npz of names, plain and maybe flip.
    folder: where the embeddings of a prepared set go.
    batch_size: images in one call of the model.

  Raises:
    DataError: there are no images, or one has no embedding.
  """
  if data is not None and (Path(data) / MANIFEST).exists():
    path = Path(folder) / f'test_{EMBEDDINGS}'
    records = FaceRecords(data)
    if embeddings is None:
      rows = embed_records(model, records, path, batch_size=batch_size)
    else:
      rows = _read_named(Path(embeddings), _all_keys(records))
    return _recorded_faces(records, rows)
  archive = None if data is None else open_archive(data)
  if embeddings is not None:
    names, members = _names_in(Path(embeddings)), None
    if archive is not None:
      members = resolve_names(names, image_names(archive), where=str(data))
    rows = _read_named(Path(embeddings), names)
    return _named_faces(names, rows, archive, members)
  names = image_names(archive)
  if not names:
    raise DataError(f'{data}: has no images: expected IDENTITY/image.jpg')
  source = ModelSource(model, data, batch_size=batch_size)
  return _named_faces(names, source.embed(names, flip=False).plain, archive)


def load(model: PathLike | None) -> FaceModel | None:
  """The model of a directory, if one is named."""
  return None if model is None else facejax.load_model(model)
