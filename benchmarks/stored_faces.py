"""The same faces as ArrayRecord, RecordIO and zip, read at random."""

import pathlib
import zipfile
from typing import Any

import numpy as np

from facejax.data.record_file import RecordFile
from facejax.data.recordio import unpack
from facejax.data.recordio_faces import read_faces
from facejax.data.recordio_writing import write_recordio
from facejax.data.records import FaceRecords
from facejax.data.zip_archive import ZipArchive


class RecordIOFaces:
  """Faces of a `.rec` file as the pipeline takes them."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._file = RecordFile(path)
    table = read_faces(self._file)
    self._records = table.images

  def __repr__(self) -> str:
    return f'RecordIOFaces({str(self.path)!r})'

  def __len__(self) -> int:
    return len(self._records)

  def __getitem__(self, index: int) -> dict[str, Any]:
    """One face."""
    payload = self._file.read(int(self._records[index]))
    labels, key, image = unpack(payload, where=str(self.path))
    return {'image': image, 'label': int(labels[0]), 'key': str(key)}


class ZipFaces:
  """Faces of a zip of LABEL/NUMBER.jpg as the pipeline takes them."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._archive = ZipArchive(path)
    self._names = self._archive.names()

  def __repr__(self) -> str:
    return f'ZipFaces({str(self.path)!r})'

  def __len__(self) -> int:
    return len(self._names)

  def __getitem__(self, index: int) -> dict[str, Any]:
    """One face."""
    name = self._names[index]
    image = self._archive.read(name)
    return {'image': image, 'label': int(name.split('/')[0]), 'key': name}


def prepare_faces(data: str, folder: pathlib.Path) -> FaceRecords:
  """Opens a prepared set, or prepares one from a folder, zip or `.rec` file.

  Args:
    data: what to read.
    folder: an existing folder; the new set is `folder/prepared`.
  """
  from facejax.preparation.folder_source import FolderSource
  from facejax.preparation.prepare import prepare
  from facejax.preparation.recordio_source import RecordIOSource

  path = pathlib.Path(data)
  if (path / 'manifest.json').exists():
    return FaceRecords(path)
  is_recordio = path.suffix == '.rec' or any(path.glob('*.rec'))
  source = (RecordIOSource if is_recordio else FolderSource)([data])
  prepare(source, folder / 'prepared', overwrite=True)
  return FaceRecords(folder / 'prepared')


def write_forms(
  faces: FaceRecords, folder: pathlib.Path
) -> tuple[RecordIOFaces, ZipFaces]:
  """Writes the same bytes in the same order as RecordIO and as zip."""
  everything = range(len(faces))
  examples = ((faces[i]['label'], faces[i]['image']) for i in everything)
  write_recordio(folder / 'recordio', examples, overwrite=True)
  with zipfile.ZipFile(folder / 'faces.zip', 'w') as archive:
    for index in everything:
      face = faces[index]
      archive.writestr(f'{face["label"]:07d}/{index:08d}.jpg', face['image'])
  return (
    RecordIOFaces(folder / 'recordio' / 'train.rec'),
    ZipFaces(folder / 'faces.zip'),
  )


def chosen_images(faces: FaceRecords, count: int) -> list[bytes]:
  """JPEG bytes of a random choice, for a loop that only decodes."""
  chosen = np.random.default_rng(0).integers(0, len(faces), count)
  return [face['image'] for face in faces.__getitems__(chosen)]
