"""Evaluators for the training loop: an object with one `run`."""

from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Int, UInt8
from facejax.data.archives import image_names, open_archive
from facejax.data.bin_pairs import BinPairs
from facejax.data.protocols import PairList, read_any_pairs, resolve_names
from facejax.errors import UsageError
from facejax.evaluation.crops import Embed, embed_padded, mirrored, read_crops
from facejax.evaluation.modes import MODES, check_mode
from facejax.evaluation.rates import far_name
from facejax.evaluation.sampling import Faces, sample_pairs
from facejax.evaluation.verification import check_pairs, verify_pairs
from facejax.files import PathLike, progress

_TRAINING_FAR = 1e-3  # read where the set resolves it, else its finest rate


class PairEvaluator:
  """Verifies a fixed set of pairs again and again.

  The images are decoded once and kept as uint8, 38 KB each: LFW's 7,701 take
  290 MB.
  """

  def __init__(
    self,
    data: PathLike,
    pairs: PathLike | PairList | None = None,
    *,
    mode: str = 'insightface',
    batch_size: int = 128,
  ):
    """Reads the images of a pair list.

    Args:
      data: folder, zip or tar of aligned crops, IDENTITY/image.jpg, or a
        `.bin` of pairs.
      pairs: a pair list, or the file of one in any form that
        `read_any_pairs` knows (CFP's folder Split/FF or Split/FP too); None
        for a `.bin`, which brings its own.
      mode: a name of `modes.MODES` other than 'centred', which needs a mean
        over training faces and so a finished model.
      batch_size: images in one call of `embed`, always exactly that many.

    Raises:
      DataError: the list or an image cannot be used.
      UsageError: the mode is unknown or 'centred', or pairs are missing.
    """
    check_mode(mode, has_flip=True, has_mean=False)
    if pairs is not None and not isinstance(pairs, PairList):
      pairs = read_any_pairs(pairs)
    archive = open_archive(data)
    if pairs is None:
      if not isinstance(archive, BinPairs):
        raise UsageError(f'{data} brings no pairs: name the list of them')
      pairs = archive.pair_list()
    check_pairs(pairs.same, pairs.folds)
    names = pairs.images()
    members = resolve_names(names, image_names(archive), where=str(data))
    batches = read_crops(
      archive, [members[name] for name in names], batch_size=batch_size
    )
    images = np.concatenate(
      list(
        progress(
          batches,
          desc='verification images',
          unit='batch',
          total=-(-len(names) // batch_size),
        )
      )
    )
    self._set(
      images,
      *pairs.index(names),
      pairs.same,
      pairs.folds,
      mode=mode,
      batch_size=batch_size,
      names=names,
    )

  @classmethod
  def from_images(
    cls,
    images: UInt8[np.ndarray, 'N 112 112 3'],
    index_a: Int[np.ndarray, ' P'],
    index_b: Int[np.ndarray, ' P'],
    same: Bool[np.ndarray, ' P'],
    folds: Int[np.ndarray, ' P'],
    *,
    mode: str = 'insightface',
    batch_size: int = 128,
  ) -> 'PairEvaluator':
    """An evaluator of pairs among images in memory.

    Args:
      images: uint8 [N, 112, 112, 3], RGB.
      index_a: int [P], row of the first image of a pair.
      index_b: int [P], row of the second.
      same: bool [P].
      folds: int [P], 0 .. F-1, none empty.
      mode: as in the constructor.
      batch_size: as in the constructor.
    """
    check_mode(mode, has_flip=True, has_mean=False)
    check_pairs(same, folds)
    evaluator = cls.__new__(cls)
    evaluator._set(
      images,
      index_a,
      index_b,
      same,
      folds,
      mode=mode,
      batch_size=batch_size,
      names=None,
    )
    return evaluator

  @classmethod
  def from_faces(
    cls,
    faces: Faces,
    *,
    num_pairs: int = 2000,
    seed: int = 0,
    mode: str = 'insightface',
    batch_size: int = 128,
  ) -> 'PairEvaluator':
    """An evaluator of random pairs of a source such as `SyntheticFaces`.

    Args:
      faces: random access to dicts with an 'image' and a 'label'; every face
        is read once, and should show nobody of the training set.
      num_pairs: pairs, half of them genuine; see `sample_pairs`.
      seed: of the draw.
      mode: as in the constructor.
      batch_size: as in the constructor.
    """
    images, labels = [], []
    for index in progress(
      range(len(faces)), desc='verification images', unit='image'
    ):
      face = faces[index]
      images.append(face['image'])
      labels.append(int(face['label']))
    return cls.from_images(
      np.stack(images),
      *sample_pairs(np.array(labels), num_pairs=num_pairs, seed=seed),
      mode=mode,
      batch_size=batch_size,
    )

  def _set(
    self,
    images: UInt8[np.ndarray, 'N 112 112 3'],
    *pairs: np.ndarray,
    mode: str,
    batch_size: int,
    names: Sequence[str] | None,
  ) -> None:
    """Keeps what every run needs."""
    self.images, self.pairs, self.names = images, pairs, names
    self.mode, self.batch_size = mode, batch_size

  def _embed(self, embed: Embed, *, flip: bool) -> np.ndarray:
    """Embeddings [N, D]; all batches are queued before the first transfer."""
    queued = []
    for start in range(0, len(self.images), self.batch_size):
      batch = self.images[start : start + self.batch_size]
      batch = mirrored(batch) if flip else batch
      queued.append(embed_padded(embed, batch, self.batch_size))
    return np.concatenate([np.asarray(x, np.float32) for x in queued])

  def run(self, embed: Embed) -> dict[str, float]:
    """Embeds the images and verifies the pairs.

    Args:
      embed: maps uint8 [B, 112, 112, 3] RGB to raw embeddings, float [B, D];
        it is called with B = batch_size only.

    Returns:
      'accuracy', 'auc' and 'tar_at_far_1e-3', or the rate of the finest
      decade that the set resolves, under its own name.

    Raises:
      DataError: an embedding is not finite, for a training that diverged.
    """
    flip = MODES[self.mode].needs_flip
    result = verify_pairs(
      self._embed(embed, flip=False),
      self._embed(embed, flip=True) if flip else None,
      *self.pairs,
      mode=self.mode,
      names=self.names,
    )
    measured = {'accuracy': result.accuracy, 'auc': result.auc}
    rates = [far for far in result.points if far >= _TRAINING_FAR]
    if rates:
      far = min(rates)
      measured[f'tar_at_far_{far_name(far)}'] = result.points[far].tar
    return measured
