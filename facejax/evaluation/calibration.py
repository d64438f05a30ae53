"""Thresholds of a model from people held out of its training; its mean."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from facejax import files
from facejax.array_typing import Float, Int
from facejax.data.images import decode_image
from facejax.data.mixture import MixedFaces
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation import metrics
from facejax.evaluation.crops import embed_padded
from facejax.evaluation.intervals import wilson_interval
from facejax.inference.embedding import normalize_rows

MAX_IMAGES = 4096  # 8.4 million pairs, 64 MB of scores
MEAN_IMAGES = 2048


def pair_scores(
  embeddings: Float[np.ndarray, 'N D'], labels: Int[np.ndarray, ' N']
) -> tuple[Float[np.ndarray, ' P'], np.ndarray]:
  """Cosine of every pair of images, and whether it shows one person.

  Args:
    embeddings: float32 [N, D], unit norm.
    labels: int [N].

  Returns:
    float32 [P] and bool [P], P = N (N - 1) / 2.
  """
  rows, columns = np.triu_indices(len(labels), 1)
  scores = (embeddings @ embeddings.T)[rows, columns]
  return scores, labels[rows] == labels[columns]


def calibrate(
  embed: Callable[[np.ndarray], jax.Array],
  held_out: FaceRecords,
  *,
  batch_size: int = 128,
) -> dict[str, Any]:
  """Thresholds at the false-accept rates that the held-out pairs resolve.

  All pairs count, so a person's images count often: the interval treats pairs
  as independent and is too narrow by an unknown amount.

  Args:
    embed: uint8 crops [B, 112, 112, 3] to raw embeddings.
    held_out: people who took no part in training; the first 4,096 images.
    batch_size: images in one call of `embed`.

  Returns:
    The `thresholds` of `model.json`: the set, its counts, and under 'at' a
    threshold on the cosine for each rate, the rate's interval and the
    true-accept rate.

  Raises:
    DataError: fewer than two people, or nobody with two images.
  """
  count = min(len(held_out), MAX_IMAGES)
  embeddings = _embed_records(
    embed, held_out, np.arange(count), batch_size=batch_size
  )
  labels = held_out.labels()[:count]
  scores, same = pair_scores(normalize_rows(embeddings), labels)
  impostors = int((~same).sum())
  if not 0 < impostors < len(same):
    raise DataError(
      f'{held_out.directory}: calibration needs several people, and one with '
      'several images'
    )
  entries = []
  for far in metrics.resolvable_fars(impostors):
    point = metrics.tar_at_far(scores, same, far)
    low, high = wilson_interval(point.far, impostors)
    entries.append(
      {
        'far': far,
        'threshold': float(point.threshold),
        'far_interval': [low, high],
        'tar': float(point.tar),
      }
    )
  return {
    'set': str(held_out.directory),
    'identities_checksum': held_out.identities_checksum,
    'num_images': count,
    'num_impostor_pairs': impostors,
    'num_genuine_pairs': len(same) - impostors,
    'at': entries,
  }


def mean_embedding(
  embed: Callable[[np.ndarray], jax.Array],
  faces: FaceRecords,
  *,
  batch_size: int = 128,
) -> tuple[Float[np.ndarray, ' D'], int]:
  """Mean raw embedding, for mode 'centred' of `evaluation.modes`.

  Args:
    embed: uint8 crops [B, 112, 112, 3] to raw embeddings.
    faces: up to 2,048 of them count, evenly spread over the set.
    batch_size: images in one call of `embed`.

  Returns:
    float32 [D], and the number of faces.
  """
  count = min(len(faces), MEAN_IMAGES)
  spread = np.linspace(0, len(faces) - 1, count).round().astype(np.int64)
  embeddings = _embed_records(embed, faces, spread, batch_size=batch_size)
  return embeddings.mean(0), count


def _embed_records(
  embed: Callable[[np.ndarray], jax.Array],
  faces: FaceRecords,
  indices: Int[np.ndarray, ' N'],
  *,
  batch_size: int,
) -> Float[np.ndarray, 'N D']:
  """Raw embeddings of some faces, in the order of the indices."""
  queued = []
  starts = range(0, len(indices), batch_size)
  for start in files.progress(starts, desc='embedding', unit='batch', delay=5):
    records = faces.__getitems__(indices[start : start + batch_size])
    crops = [decode_image(face['image'], face['key']) for face in records]
    queued.append(embed_padded(embed, np.stack(crops), batch_size))
  return np.concatenate([np.asarray(x, np.float32) for x in queued])


def check_held_out(
  training: FaceRecords | MixedFaces, held_out: FaceRecords
) -> None:
  """Refuses a calibration set that shares people with the training set.

  Raises:
    DataError: names one of them.
  """
  shared = set(training.identities) & set(held_out.identities)
  if shared:
    raise DataError(
      f'{held_out.directory}: {min(shared)} and {len(shared) - 1} more are '
      'training people: calibrate on people who took no part in training'
    )
