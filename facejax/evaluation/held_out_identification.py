"""Identification of held-out people, measured again and again in training."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from facejax import files
from facejax.array_typing import AnyArray, Array, Bool, Int, UInt8
from facejax.data.archives import image_names, open_archive
from facejax.data.identification_lists import folder_identities
from facejax.data.identification_splits import Split, first_images
from facejax.data.images import decode_image
from facejax.data.manifest import MANIFEST
from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.evaluation.crops import read_crops
from facejax.evaluation.probe_scores import identify, identify_codes
from facejax.files import PathLike
from facejax.models.face_net import FaceOutputs

# uint8 [B, 112, 112, 3] RGB to raw embeddings [B, D], and to the logits [B, L]
# of a hash layer if there is one.
Outputs = Callable[[np.ndarray], FaceOutputs]


def _share(found: Bool[Array, ' Q']) -> float:
  """The share of the probes that are found."""
  return int(found.sum()) / len(found)


def _spread(split: Split, max_probes: int) -> Split:
  """A split with so many probes at most, spread evenly over all."""
  count = min(len(split.probes), max_probes)
  places = np.linspace(0, len(split.probes) - 1, count).round().astype(int)
  return Split(split.gallery, split.probes[places])


def _read_records(
  faces: FaceRecords, places: Int[np.ndarray, ' N'], batch_size: int
) -> list[UInt8[np.ndarray, 'B 112 112 3']]:
  """Some crops of a prepared set, in batches."""
  if faces.image_size != CANONICAL_SIZE:
    raise DataError(
      f'{faces.directory}: has images of {faces.image_size}, where aligned '
      'faces of 112x112 are needed: prepare it with --image_size=112x112'
    )
  starts = range(0, len(places), batch_size)
  return [
    np.stack(
      [
        decode_image(face['image'], face['key'])
        for face in faces.__getitems__(places[start : start + batch_size])
      ]
    )
    for start in files.progress(starts, desc='held-out images', unit='batch')
  ]


class IdentificationEvaluator:
  """Looks held-out people up among one image of each, again and again.

  The first image of everybody is enrolled, by its name or its place in the
  prepared set; all others are probes. Scores are cosines c of raw embeddings,
  without the mirrored image. A probe is found if nobody else's score is as
  high as its person's (a tie is an error), and its loss is that of a softmax
  over the people whose class weights are the enrolled faces:

    loss = log sum_j exp(s c_j) - s c_mate

  so that it tells of changes too small for rank 1. The images are decoded once
  and kept as uint8, 38 KB each.

  Attributes:
    identities: names of the G people.
    images: uint8 [G + Q, 112, 112, 3]: first the gallery, then the probes.
    mates: int32 [Q], the person of each probe.

  References:
    spec 7.1, "held-out identification loss".
  """

  def __init__(
    self,
    data: PathLike,
    *,
    max_probes: int = 4000,
    scale: float | int = 30.0,
    batch_size: int = 128,
  ):
    """Reads the images.

    Args:
      data: of held-out people: a prepared set, or a folder, zip or tar of
        aligned crops, IDENTITY/image.jpg.
      max_probes: most probes, spread evenly over all there are.
      scale: s, factor of the cosines in the loss.
      batch_size: images in one call of the model, always exactly that many.

    Raises:
      DataError: the data cannot be read, show fewer than two people, or nobody
        twice.
      UsageError: a number that is not positive.
    """
    for name, value in (('max_probes', max_probes), ('scale', scale)):
      if not 0 < value < np.inf:
        raise UsageError(f'{name}={value}: use a number above 0')
    self.scale, self.batch_size = float(scale), batch_size
    if (files.Path(data) / MANIFEST).exists():
      batches, labels, split = self._open_records(data, max_probes)
    else:
      batches, labels, split = self._open_archive(data, max_probes)
    if len(split.gallery) < 2:
      raise DataError(f'{data}: identification needs several people')
    self.images = np.concatenate(batches)
    self.mates = np.searchsorted(
      labels[split.gallery], labels[split.probes]
    ).astype(np.int32)

  def _open_records(
    self, data: PathLike, max_probes: int
  ) -> tuple[list[np.ndarray], np.ndarray, Split]:
    """Crops, labels and split of a prepared set."""
    faces = FaceRecords(data)
    self.identities: Sequence[str] = faces.identities
    split = _spread(first_images(faces.labels()), max_probes)
    places = np.concatenate(split)
    return (
      _read_records(faces, places, self.batch_size),
      faces.labels(),
      split,
    )

  def _open_archive(
    self, data: PathLike, max_probes: int
  ) -> tuple[list[np.ndarray], np.ndarray, Split]:
    """Crops, labels and split of images in folders."""
    archive = open_archive(data)
    names = image_names(archive)
    if not names:
      raise DataError(f'{data}: has no images: expected IDENTITY/image.jpg')
    people, labels = np.unique(folder_identities(names), return_inverse=True)
    self.identities = people.tolist()
    split = _spread(first_images(labels), max_probes)
    wanted = [names[int(place)] for place in np.concatenate(split)]
    batches = files.progress(
      read_crops(archive, wanted, batch_size=self.batch_size),
      desc='held-out images',
      unit='batch',
      total=-(-len(wanted) // self.batch_size),
    )
    return list(batches), labels, split

  def _outputs(self, outputs: Outputs) -> list[FaceOutputs]:
    """Of every batch; all are queued before the first transfer.

    All are of one size, for one compilation.
    """
    found = []
    for start in range(0, len(self.images), self.batch_size):
      images = self.images[start : start + self.batch_size]
      padding = [(0, self.batch_size - len(images))] + [(0, 0)] * 3
      found.append(outputs(np.pad(images, padding)))
    return found

  def _split(self, batches: Sequence[AnyArray]) -> tuple[Array, Array]:
    """The gallery's rows and the probes', on the device."""
    rows = jnp.concatenate(batches).astype(jnp.float32)
    count = len(self.images) - len(self.mates)
    return rows[:count], rows[count : len(self.images)]

  def run(self, outputs: Outputs) -> dict[str, float]:
    """Embeds the images, in one pass, and looks the probes up.

    Args:
      outputs: maps uint8 [B, 112, 112, 3] RGB to raw embeddings, float [B, D],
        and hash logits [B, L] or None; it is called with B = batch_size only.

    Returns:
      'rank1', the share of the probes that are found; 'loss', its mean; with a
      hash layer also 'hash_rank1', the share that is found by the Hamming
      distance of the codes alone.

    Raises:
      DataError: an embedding is not finite, for a training that diverged.
    """
    embeddings, logits = zip(*self._outputs(outputs), strict=True)
    found, losses = identify(
      *self._split(embeddings),
      self.mates,
      jnp.asarray(self.scale, jnp.float32),
    )
    loss = float(np.mean(np.asarray(losses), dtype=np.float64))
    if not np.isfinite(loss):
      raise DataError(
        'an embedding of the held-out people is not finite: the training has '
        'diverged'
      )
    measured = {'rank1': _share(found), 'loss': loss}
    if logits[0] is not None:
      found = identify_codes(*self._split(logits), self.mates)
      measured['hash_rank1'] = _share(found)
    return measured
