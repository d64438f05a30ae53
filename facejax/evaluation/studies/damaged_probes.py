"""Embeddings of images that are damaged on their way to the model."""

import functools
from collections.abc import Iterable, Sequence

import numpy as np

from facejax.array_typing import UInt8
from facejax.data.images import decode_image
from facejax.errors import UsageError
from facejax.evaluation.crops import embed_padded, mirrored, read_batches
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.studies.degradations import DAMAGES, Number, damage

ALL_KINDS = 'all'


def choose_kinds(asked: str | Iterable[str]) -> tuple[str, ...]:
  """Kinds of damage from 'all', from names, or from 'blur,jpeg'.

  Raises:
    UsageError: one is unknown, or none is given.
  """
  names = asked.split(',') if isinstance(asked, str) else asked
  names = tuple(dict.fromkeys(name.strip() for name in names))
  if names == (ALL_KINDS,):
    return tuple(DAMAGES)
  for name in names or ('',):
    if name not in DAMAGES:
      raise UsageError(
        f'--robustness={name}: use {ALL_KINDS} or some of {",".join(DAMAGES)}'
      )
  return names


def check_damageable(source: EmbeddingSource) -> None:
  """Refuses a source whose images cannot be embedded anew.

  Raises:
    UsageError: it has no model.
  """
  if getattr(source, 'model', None) is None:
    raise UsageError(
      '--robustness needs a model and its images: saved embeddings cannot be '
      'damaged, give --model and --data'
    )


class DamagedProbes:
  """Images that can be embedded with any damage.

  Their files are kept as they are encoded, a few kilobytes each; decoded and
  damaged pixels are in memory for the batch in use and the next one.
  """

  def __init__(
    self, source: EmbeddingSource, names: Sequence[str], *, seed: int = 0
  ):
    """Reads the files.

    Args:
      source: with a model, as `check_damageable` asks for.
      names: of the images.
      seed: of the places of squares.

    Raises:
      DataError: an image is missing or cannot be read; names it.
    """
    self.names = tuple(names)
    self._pictures = dict(zip(names, source.pictures(names), strict=True))
    self._model, self._batch_size = source.model, source.batch_size
    self._seed = seed

  def _read(
    self, name: str, *, kind: str, level: Number
  ) -> UInt8[np.ndarray, 'H W 3']:
    """One damaged crop; called from several threads."""
    image = decode_image(self._pictures[name], name)
    return damage(image, kind, level, name=name, seed=self._seed)

  def embed(self, kind: str, level: Number, *, flip: bool) -> Embeddings:
    """Raw embeddings of all images, float32.

    Args:
      kind: a name of DAMAGES.
      level: of the damage.
      flip: whether mirror images of the damaged ones are embedded too.
    """
    read = functools.partial(self._read, kind=kind, level=level)
    plain, mirror = [], []
    for images in read_batches(read, self.names, batch_size=self._batch_size):
      plain.append(embed_padded(self._embed, images, self._batch_size))
      if flip:
        mirror.append(
          embed_padded(self._embed, mirrored(images), self._batch_size)
        )
    return Embeddings(
      names=self.names,
      plain=np.concatenate(plain),
      flip=np.concatenate(mirror) if flip else None,
      training_mean=self._model.training_mean,
    )

  def _embed(self, images: np.ndarray) -> np.ndarray:
    return self._model.embed(images, normalize=False)
