"""From faces to an index: enrolling, and calibrating the answer "unknown"."""

import hashlib
import json
import time
from collections.abc import Sequence

import numpy as np

from facejax.errors import UsageError
from facejax.evaluation.face_sets import EmbeddedBatch, FaceReader, FaceSet
from facejax.files import PathLike
from facejax.inference import FaceModel
from facejax.search.index import FaceIndex

_COMMIT_SECONDS = 5.0  # of work that an interruption may cost


def fingerprint(model: FaceModel) -> str:
  """Tells whether two models give comparable templates.

  The SHA-256 of the architecture and of the golden outputs that its writer
  stored: the embedding, and the logits if there is a hash layer. So the same
  model may lie anywhere, and be loaded anywhere.
  """
  description = model.description
  text = json.dumps(
    [description['architecture'], description['golden']], sort_keys=True
  )
  return hashlib.sha256(text.encode()).hexdigest()


def create_index(
  path: PathLike, model: FaceModel, model_path: PathLike, *, vectors: str
) -> FaceIndex:
  """Makes an empty index for the templates of a model.

  A model without a hash layer gives an index of vectors alone.

  Raises:
    UsageError: something stands at `path`; or the model has no hash layer and
      no vectors are to be kept.
  """
  if vectors == 'none' and not model.hash_bits:
    raise UsageError(
      f'{model_path} has no hash layer, so --vectors=none leaves nothing: '
      'launch.add_hash gives it one'
    )
  return FaceIndex.create(
    path,
    bits=model.hash_bits,
    embedding_size=model.embedding_size,
    vectors=vectors,
    model={'path': str(model_path), 'fingerprint': fingerprint(model)},
  )


def enrol(index: FaceIndex, reader: FaceReader, faces: FaceSet) -> int:
  """Adds the images of a set whose names are not in the index yet.

  Commits every few seconds, so that an interrupted call goes on where it was.

  Returns:
    How many were there already.
  """
  new = np.flatnonzero(index.find(faces.names) < 0)
  waiting: list[EmbeddedBatch] = []
  since = time.monotonic()
  for batch in reader.embed(faces, new):
    waiting.append(batch)
    if time.monotonic() - since > _COMMIT_SECONDS:
      _add(index, faces, waiting)
      waiting, since = [], time.monotonic()
  _add(index, faces, waiting)
  return len(faces.names) - len(new)


def _add(
  index: FaceIndex, faces: FaceSet, batches: Sequence[EmbeddedBatch]
) -> None:
  """One commit of some batches."""
  if not batches:
    return
  places = np.concatenate([batch.places for batch in batches]).tolist()
  codes = embeddings = None
  if index.bits:
    codes = np.concatenate([batch.probes.codes for batch in batches])
  if index.vectors != 'none':
    embeddings = np.concatenate([batch.probes.embeddings for batch in batches])
  index.add(
    [faces.names[place] for place in places],
    [faces.person(place) for place in places],
    codes,
    embeddings,
  )


def calibrate(index: FaceIndex, reader: FaceReader, faces: FaceSet) -> None:
  """Calibrates the answer "unknown" with people who are not in the index.

  Raises:
    UsageError: one of them is in the index.
  """
  _, people, probes = reader.probes(faces)
  enrolled = index.has_people(people)
  if enrolled.any():
    person = people[int(np.argmax(enrolled))]
    raise UsageError(
      f'{faces.path}: {person!r} is in the index, calibration needs people who '
      'are not'
    )
  index.calibrate(probes)
