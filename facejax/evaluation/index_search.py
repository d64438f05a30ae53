"""What `launch.search` does: faces looked up in an index, and what it took."""

import time
from typing import Any

import numpy as np

from facejax.errors import UsageError
from facejax.evaluation.face_sets import FaceReader, open_faces
from facejax.evaluation.index_building import describe_index, load_index_model
from facejax.files import Path, PathLike
from facejax.search.index import RECALL_AT, FaceIndex
from facejax.search.query import DEFAULT_CANDIDATES
from facejax.search.results import Probes, SearchResult

SHOWN = 10  # probes whose answers stand in the line that is printed


def check_output(path: PathLike, *, overwrite: bool = False) -> None:
  """Refuses, before the work is done, where no answers can be written.

  Raises:
    UsageError: a folder, or a file that exists while `overwrite` is False.
  """
  if Path(path).is_dir():
    raise UsageError(f'--output={path} is a folder: name a .json file')
  if Path(path).exists() and not overwrite:
    raise UsageError(
      f'{path} already exists: choose another file, or give --overwrite'
    )


def _answers(
  names: list[str], people: list[str], found: SearchResult
) -> list[dict[str, Any]]:
  """JSON values of every probe: what was found, best first."""
  rows = []
  for i, (name, person) in enumerate(zip(names, people, strict=True)):
    count = len(found.names[i])
    answers = {
      'person': found.people[i],
      'name': found.names[i],
      'score': [round(x, 6) for x in found.scores[i, :count].tolist()],
    }
    if found.distances is not None:
      answers['distance'] = found.distances[i, :count].tolist()
    unknown = {}
    if found.unknown is not None:
      unknown = {'unknown': bool(found.unknown[i])}
    columns = [
      dict(zip(answers, values, strict=True))
      for values in zip(*answers.values(), strict=True)
    ]
    rows.append(
      {'probe': name, 'probe_person': person, **unknown, 'answers': columns}
    )
  return rows


def _recall(
  index: FaceIndex, probes: Probes, first_stage: str, candidates: int | None
) -> dict[str, Any]:
  """The curve of recall against candidates, with the number that is in use."""
  used = min(
    DEFAULT_CANDIDATES if candidates is None else candidates, len(index)
  )
  tried = sorted({c for c in RECALL_AT if c < len(index)} | {max(used, 1)})
  found = index.recall(probes, candidates=tried, first_stage=first_stage)
  return {str(count): round(share, 6) for count, share in found.items()}


def _rank1(people: list[str], index: FaceIndex, found: SearchResult) -> Any:
  """Share of probes with a mate whose best answer is that person; or null."""
  mated = index.has_people(people)
  right = [
    bool(answers) and answers[0] == person
    for person, answers, has_mate in zip(
      people, found.people, mated, strict=True
    )
    if has_mate
  ]
  return round(float(np.mean(right)), 6) if right else None


def search(
  path: PathLike,
  images: PathLike,
  *,
  model: PathLike | None = None,
  recall: bool = False,
  batch_size: int = 128,
  **query: Any,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """Looks the faces of a set up in an index.

  Args:
    path: of the index.
    images: aligned faces.
    model: directory of the model; None takes the one the index remembers.
    recall: whether two stages are compared with the whole search.
    batch_size: images in one call of the model.
    **query: arguments of `FaceIndex.search`.

  Returns:
    JSON values that say how it went, and the answers to all probes.

  Raises:
    UsageError: the index cannot answer that, or is of another model.
    DataError: no image could be read.
  """
  index = FaceIndex.open(path)
  _check_method(index, query['method'], recall)
  faces = open_faces(images)
  reader = FaceReader(load_index_model(index, model), batch_size=batch_size)
  names, people, probes = reader.probes(faces)
  start = time.perf_counter()
  found = index.search(probes, **query)
  seconds = time.perf_counter() - start
  curve = None
  if recall:
    curve = _recall(index, probes, query['first_stage'], query['candidates'])
  mated = int(index.has_people(people).sum())
  summary = {
    'index': {'path': str(Path(path)), **describe_index(index)},
    'method': query['method'] or index.default_method,
    'num_probes': len(probes),
    'num_rejected': len(reader.rejected),
    'num_mated': mated,
    'rank1': _rank1(people, index, found),
    'num_unknown': None if found.unknown is None else int(found.unknown.sum()),
    'threshold': found.threshold,
    'full_searches': found.full_searches,
    'recall': curve,
    'timings': {
      'extraction_ms_per_image': 1e3 * reader.seconds / len(probes),
      'stage_1_ms_per_probe': 1e3 * found.seconds['stage_1'] / len(probes),
      'stage_2_ms_per_probe': 1e3 * found.seconds['stage_2'] / len(probes),
      'search_ms_per_probe': 1e3 * seconds / len(probes),
    },
  }
  return summary, _answers(names, people, found)


def _check_method(index: FaceIndex, method: str | None, recall: bool) -> None:
  """Refuses what needs codes or vectors that are not there, before any work."""
  needs_codes = recall or method in ('two_stage', 'hamming', 'asymmetric')
  needs_vectors = recall or method in ('two_stage', 'float')
  what = '--recall' if recall else f'--method={method}'
  if needs_codes and not index.bits:
    raise UsageError(
      f'{what}: {index.path} has no codes: give the model a hash layer by '
      'launch.add_hash and build the index again'
    )
  if needs_vectors and index.vectors == 'none':
    raise UsageError(f'{what}: {index.path} has no vectors, only codes')
