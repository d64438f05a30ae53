"""What `launch.build_index` does: an index made, added to, put in order."""

import time
from typing import Any

import facejax
from facejax import files
from facejax.data.text_lines import text_lines
from facejax.errors import DataError, UsageError
from facejax.evaluation import enrolment
from facejax.evaluation.face_sets import FaceReader, open_faces
from facejax.files import Path, PathLike
from facejax.inference import FaceModel
from facejax.search import faiss_file
from facejax.search.index import FaceIndex

REJECTED = 'rejected.tsv'


def load_index_model(
  index: FaceIndex, path: PathLike | None = None
) -> FaceModel:
  """Loads the model of an index and checks that it is that one.

  Args:
    index: an open index.
    path: of the model; None takes the one that the index remembers.

  Raises:
    UsageError: another model, or the index is of codes without a model.
    CheckpointError: the model cannot be read.
  """
  if index.model is None:
    raise UsageError(
      f'{index.path} was made of codes whose model is not known: faces cannot '
      'be added or looked up'
    )
  model = facejax.load_model(path or index.model['path'])
  index.check_model(enrolment.fingerprint(model))
  return model


def _make(
  output: PathLike, model: PathLike | None, vectors: str
) -> tuple[FaceIndex, FaceModel]:
  """A new index for the templates of a model."""
  if not model:
    raise UsageError('--model is missing: name a model directory')
  if (Path(output) / 'index.json').exists():
    raise UsageError(f'{output} is an index already: --add adds to it')
  files.check_new_directory(output)
  loaded = facejax.load_model(model)
  if not loaded.hash_bits:
    files.note(
      f'{model} has no hash layer (launch.add_hash gives it one): the index '
      'has vectors alone'
    )
  return enrolment.create_index(output, loaded, model, vectors=vectors), loaded


def _remove(index: FaceIndex, path: PathLike) -> int:
  """Removes the templates and people of a list; all or none."""
  listed = list(dict.fromkeys(line for _, line in text_lines(path)))
  is_template = (index.find(listed) >= 0).tolist()
  names = [x for x, is_one in zip(listed, is_template, strict=True) if is_one]
  people = [
    x for x, is_one in zip(listed, is_template, strict=True) if not is_one
  ]
  for person, is_there in zip(people, index.has_people(people), strict=True):
    if not is_there:
      raise DataError(f'{path}: {index.path} has no {person!r}')
  return index.remove(names=names, people=people)


def build(
  output: PathLike,
  *,
  model: PathLike | None = None,
  images: PathLike | None = None,
  add: bool = False,
  vectors: str = 'float16',
  remove: PathLike | None = None,
  calibration: PathLike | None = None,
  compact: bool = False,
  faiss: PathLike | None = None,
  from_faiss: PathLike | None = None,
  batch_size: int = 128,
) -> dict[str, Any]:
  """Makes or changes an index: remove, add, calibrate, compact, export.

  Args:
    output: the index.
    model: directory of the model; where the index is there, its own by default.
    images: faces to enrol; in a new index unless `add`.
    add: whether the index is there and gets more faces.
    vectors: of a new index, see `FaceIndex.create`.
    remove: list of people or names, one a line.
    calibration: faces of people who are not in the index.
    compact: whether removed templates are dropped.
    faiss: file to write the codes to.
    from_faiss: file to make an index of codes of.
    batch_size: images in one call of the model.

  Returns:
    JSON values, see launch/build_index.py.

  Raises:
    UsageError: the index is there and should not be, or the other way round,
      or it is of another model.
    DataError: something cannot be read; what was committed before stays.
  """
  start, loaded = time.perf_counter(), None
  # Opened first: an index is not made for faces that are not there.
  faces = None if images is None else open_faces(images)
  strangers = None if calibration is None else open_faces(calibration)
  if from_faiss is not None:
    index = faiss_file.import_index(from_faiss, output)
  elif faces is not None and not add:
    index, loaded = _make(output, model, vectors)
  else:
    index = FaceIndex.open(output, writable=True)
  with index:
    if loaded is None and (faces or strangers):
      loaded = load_index_model(index, model)
    reader = FaceReader(loaded, batch_size=batch_size) if loaded else None
    num_removed = 0 if remove is None else _remove(index, remove)
    num_present = 0 if faces is None else enrolment.enrol(index, reader, faces)
    num_added = reader.num_images if reader else 0
    if strangers is not None:
      enrolment.calibrate(index, reader, strangers)
    if compact:
      index.compact()
    if faiss is not None:
      faiss_file.export_index(index, faiss)
    rejected = reader.rejected if reader else []
    if rejected:
      reader.write_rejected(Path(output) / REJECTED)
    return {
      **describe_index(index),
      'num_added': num_added,
      'num_present': num_present,
      'num_removed': num_removed,
      'num_rejected': len(rejected),
      'seconds': round(time.perf_counter() - start, 3),
      'output': str(output),
    }


def describe_index(index: FaceIndex) -> dict[str, Any]:
  """JSON values of what an index holds."""
  calibration = index.calibration
  return {
    'num_templates': len(index),
    'num_people': index.num_people,
    'bits': index.bits,
    'embedding_size': index.embedding_size,
    'vectors': index.vectors,
    'bytes': index.num_bytes,
    'bytes_per_template': index.bytes_per_template,
    'calibration': None if calibration is None else calibration.about(),
  }
