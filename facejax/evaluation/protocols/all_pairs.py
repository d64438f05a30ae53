"""Protocol `lfw_all`: every pair of LFW, with intervals over people."""

import hashlib
from collections.abc import Sequence

import numpy as np

from facejax import files
from facejax.data.identification_lists import folder_identities
from facejax.errors import UsageError
from facejax.evaluation.all_pairs import comparison as all_pairs_comparison
from facejax.evaluation.all_pairs.comparison import DRAWS
from facejax.evaluation.all_pairs.scores import AllPairs, score_all_pairs
from facejax.evaluation.held_source import HeldSource
from facejax.evaluation.protocols.blufr_trials import TrialsOnImages
from facejax.evaluation.protocols.confused_pairs import (
  NUM_CONFUSED,
  confused_pairs,
)
from facejax.evaluation.protocols.labelled_faces import (
  LabelledFaces,
  read_faces,
)
from facejax.evaluation.protocols.pair_rates import choose_fars
from facejax.evaluation.protocols.protocol import Protocol, common_result
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.reporting.labels import protocol_name
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import PathLike

FARS = (1e-3, 1e-4, 1e-5, 1e-6)
IMAGES_PER_PERSON = 10
# People and images of LFW with at most ten images a person.
_LFW_COUNTS = (5749, 10489)


def first_names(names: Sequence[str], count: int | None) -> list[str]:
  """At most `count` images of each person, the first by name.

  Raises:
    UsageError: fewer than two, which make no genuine pair.
  """
  ordered = sorted(names)
  if count is None:
    return ordered
  if count < 2:
    raise UsageError(f'--images_per_person={count}: give 2 or more')
  taken, seen = [], {}
  for name, person in zip(ordered, folder_identities(ordered), strict=True):
    seen[person] = seen.get(person, 0) + 1
    if seen[person] <= count:
      taken.append(name)
  return taken


def measurements(
  faces: LabelledFaces, found: AllPairs
) -> dict[str, np.ndarray]:
  """What a comparison with another model needs."""
  return all_pairs_comparison.measurements(
    found.pair_set(),
    np.array(list(found.points)),
    np.array([point.threshold for point in found.points.values()]),
    images=hashlib.sha256('\n'.join(faces.names).encode()).hexdigest(),
  )


def most_confused(
  source: EmbeddingSource, faces: LabelledFaces, found: AllPairs
) -> tuple[ConfusedPair, ...]:
  """The impostor pairs most alike and the genuine pairs least alike."""
  worst = np.argsort(found.genuine, kind='stable')[:NUM_CONFUSED]
  impostors = slice(0, NUM_CONFUSED)
  first = np.append(found.tail.first[impostors], found.first[worst])
  second = np.append(found.tail.second[impostors], found.second[worst])
  scores = np.append(found.tail.scores[impostors], found.genuine[worst])
  same = np.arange(len(first)) >= len(found.tail.first[impostors])
  return confused_pairs(
    source,
    [faces.names[row] for row in first],
    [faces.names[row] for row in second],
    scores,
    same,
  )


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  images_per_person: int = IMAGES_PER_PERSON,
  far: Sequence[float] | None = None,
  bootstrap: int = DRAWS,
  seed: int = 0,
  blufr: PathLike | None = None,
) -> Report:
  """Verifies every pair of LFW, at most ten images a person.

  Args:
    source: gives the embeddings of IDENTITY/image files.
    mode: a name of `modes.MODES`.
    images_per_person: how many of a person's images count, the first by name.
    far: false-accept rates to report; by default 1e-3 .. 1e-6, as far as the
      pairs resolve them.
    bootstrap: draws of people, for the intervals.
    seed: of the draws.
    blufr: `blufr_lfw_config.mat`; its trials are measured too, on all images
      of every person.

  Raises:
    DataError: an image, an embedding or the file of BLUFR cannot be used, or
      there are pairs of one kind only.
    UsageError: the mode is unknown or lacks what it needs, or the pairs do
      not resolve a rate that was asked for.

  References:
    spec 13.1b.
  """
  trials = None
  if blufr is not None:
    trials = TrialsOnImages(blufr, source.names())
    source = HeldSource(source)
  names = first_names(source.names(), images_per_person)
  fars = choose_fars(names, far, usual=FARS)
  faces = read_faces(source, mode=mode, names=names)
  found = score_all_pairs(faces.features, faces.labels, fars=fars)
  counts = (int(faces.labels.max()) + 1, len(faces.names))
  if counts != _LFW_COUNTS:
    files.note(
      'protocol lfw_all: {:,} people with {:,} images; all of LFW has {:,} '
      'with {:,}'.format(*counts, *_LFW_COUNTS)
    )
  result = common_result('lfw_all', source, mode=mode) | {
    'official': counts == _LFW_COUNTS,
    'images_per_person': images_per_person,
    **found.to_json(draws=bootstrap, seed=seed),
  }
  if trials is not None:
    result['blufr'] = trials.run(source, mode=mode)
  return Report(
    result,
    title=f'{protocol_name("lfw_all")}: {result["num_pairs"]:,} pairs',
    curves=found.curves(mode),
    confused=most_confused(source, faces, found),
    measurements=measurements(faces, found),
  )


PROTOCOLS: dict[str, Protocol] = {
  'lfw_all': Protocol(
    run,
    frozenset(
      {
        'images_per_person',
        'far',
        'bootstrap',
        'seed',
        'blufr',
        'save_embeddings',
      }
    ),
  )
}
