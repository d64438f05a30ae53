"""Protocol `folder`: what a model is worth on a user's own people."""

from collections.abc import Sequence

from facejax.data.identification_splits import draw_half, first_images
from facejax.errors import UsageError
from facejax.evaluation.all_pairs.comparison import DRAWS
from facejax.evaluation.all_pairs.scores import score_all_pairs
from facejax.evaluation.identification.closed_set import (
  ClosedSetResult,
  closed_set,
)
from facejax.evaluation.identification.open_set import OpenSetResult, open_set
from facejax.evaluation.protocols.all_pairs import (
  first_names,
  measurements,
  most_confused,
)
from facejax.evaluation.protocols.labelled_faces import (
  LabelledFaces,
  read_faces,
)
from facejax.evaluation.protocols.open_set_draws import average_draws
from facejax.evaluation.protocols.pair_rates import choose_fars
from facejax.evaluation.protocols.protocol import Protocol, common_result
from facejax.evaluation.rates import FARS
from facejax.evaluation.reporting.curves import Curves
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource

NUM_DRAWS = 10


def _identification(
  faces: LabelledFaces, *, draws: int, seed: int
) -> tuple[ClosedSetResult, list[OpenSetResult]]:
  """The closed set, and open sets that enrol another half of the people."""
  features, labels = faces.features, faces.labels
  opened = [
    open_set(features, labels, *draw_half(labels, seed=seed, draw=draw))
    for draw in range(draws)
  ]
  return closed_set(features, labels, *first_images(labels)), opened


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  images_per_person: int | None = None,
  far: Sequence[float | int] | None = None,
  bootstrap: int = DRAWS,
  draws: int = NUM_DRAWS,
  seed: int = 0,
) -> Report:
  """Measures a model on IDENTITY/image files of anybody.

  Three questions: are two images of one person (all pairs, with the threshold
  for each false-accept rate and its interval over people); who is it, of
  people who are all known (closed set: everybody's first image by name is
  enrolled, all others are looked up); and who is it, if anybody (open set:
  half of the people are enrolled, and everybody else must raise no alarm).

  Args:
    source: gives the embeddings.
    mode: a name of `modes.MODES`.
    images_per_person: how many of a person's images count, the first by name;
      all by default.
    far: false-accept rates of the pairs; by default the decades 1e-1 .. 1e-6
      that they resolve.
    bootstrap: draws of people, for the intervals of the pairs.
    draws: halves of the people that the open set is averaged over.
    seed: of all draws.

  Raises:
    DataError: an image or an embedding cannot be used, or there are pairs of
      one kind only.
    UsageError: the mode is unknown or lacks what it needs, or the pairs do
      not resolve a rate that was asked for.
  """
  for name, value, least in (('draws', draws, 1), ('seed', seed, 0)):
    if value < least:
      raise UsageError(f'--{name}={value}: give {least} or more')
  names = first_names(source.names(), images_per_person)
  fars = choose_fars(names, far, usual=FARS)
  faces = read_faces(source, mode=mode, names=names)
  pairs = score_all_pairs(faces.features, faces.labels, fars=fars)
  closed, opened = _identification(faces, draws=draws, seed=seed)
  average = average_draws(opened, seed=seed)
  drawn = pairs.curves(mode)
  result = (
    common_result('folder', source, mode=mode)
    | pairs.to_json(draws=bootstrap, seed=seed)
    | {
      'closed_set': closed.to_json(),
      'open_set': average,
    }
  )
  return Report(
    result,
    title=f'{len(names):,} images of {result["num_people"]:,} people',
    curves=Curves(
      roc=drawn.roc,
      histogram=drawn.histogram,
      cmc=closed.curves(mode).cmc,
      dir=opened[0].curves(f'{mode}, first of {draws} draws').dir,
    ),
    confused=most_confused(source, faces, pairs),
    measurements=measurements(faces, pairs),
  )


PROTOCOLS: dict[str, Protocol] = {
  'folder': Protocol(
    run,
    frozenset(
      {
        'images_per_person',
        'far',
        'bootstrap',
        'draws',
        'seed',
        'save_embeddings',
      }
    ),
  )
}
