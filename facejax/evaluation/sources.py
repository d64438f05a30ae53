"""Where a protocol gets its embeddings: a model and its crops, or a file."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

import facejax
from facejax import files
from facejax.data.archives import image_names, open_archive
from facejax.data.bin_pairs import BinPairs
from facejax.data.preprocessing import Preprocessing
from facejax.data.protocols import PairList, resolve_names
from facejax.errors import DataError, UsageError
from facejax.evaluation.crops import (
  embed_padded,
  mirrored,
  read_crops,
  read_pictures,
)
from facejax.evaluation.embedding_files import is_embeddings_folder
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.feature_files import (
  FeatureFolderSource,
  holds_features,
)


@runtime_checkable
class FaceModel(Protocol):
  """What `facejax.load_model` returns, as far as evaluation needs it."""

  preprocessing: Preprocessing
  is_packed: bool
  hash_bits: int
  training_mean: np.ndarray | None

  def embed(self, images: np.ndarray, *, normalize: bool = True) -> np.ndarray:
    """Embeddings [B, D] of RGB crops, uint8 [B, 112, 112, 3]."""

  def embed_and_hash(
    self, images: np.ndarray, *, normalize: bool = True
  ) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and hash logits [B, L] in one pass, if hash_bits is L."""


@runtime_checkable
class EmbeddingSource(Protocol):
  """Gives a protocol the embeddings of the images that it names."""

  name: str
  has_flip: bool
  hash_bits: int  # of the logits that come with the embeddings; 0 without
  training_mean: np.ndarray | None

  def names(self) -> Sequence[str]:
    """Names of all images, sorted; a person's images share a folder."""

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Embeddings of these images, in this order."""

  def pictures(self, names: Sequence[str]) -> list[bytes] | None:
    """Encoded images, or None where only embeddings are known."""

  def pair_list(self) -> PairList | None:
    """The pairs that the data bring with them, as a `.bin` does."""

  def describe(self) -> dict[str, Any]:
    """JSON values for a report: model, packed, preprocessing, data."""

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the data, if there is one."""


class ModelSource:
  """Embeds the crops of a folder, zip, tar or `.bin` with a model."""

  has_flip = True

  def __init__(
    self,
    model: FaceModel,
    data: files.PathLike,
    *,
    batch_size: int = 128,
    name: str = 'model',
  ):
    """Opens the images.

    Args:
      model: what `facejax.load_model` returned.
      data: folder, zip or tar of aligned crops, IDENTITY/image.jpg, under
        any top folder, or a `.bin` verification set.
      batch_size: images in one call of the model.
      name: what reports call the model, its directory.
    """
    self.model = model
    self.data = files.Path(data)
    self.batch_size = batch_size
    self.name = name
    self.hash_bits = model.hash_bits
    self.training_mean = model.training_mean
    self._archive = open_archive(data)

  def names(self) -> Sequence[str]:
    """Names of all images in the archive, sorted.

    Raises:
      DataError: one is no text, so that no report could name it.
    """
    names = image_names(self._archive)
    for name in names:
      try:
        name.encode()
      except UnicodeEncodeError:
        raise DataError(
          f'{self.data}: the file name {name!r} is no UTF-8 text: rename it'
        ) from None
    return names

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Reads and embeds every image once.

    Args:
      names: images, resolved as `resolve_names` does.
      flip: whether the mirrored images are embedded too.

    Returns:
      Raw embeddings, float32, and those of a model with a hash layer with the
      hash logits of the images as they are: a code is never of a mirror image.

    Raises:
      DataError: an image is missing or cannot be read; names it.
    """
    members = resolve_names(
      names, image_names(self._archive), where=str(self.data)
    )
    batches = read_crops(
      self._archive,
      [members[name] for name in names],
      batch_size=self.batch_size,
    )

    def embed_raw(images: np.ndarray) -> np.ndarray:
      if not self.hash_bits:
        return self.model.embed(images, normalize=False)
      # One pass gives both; side by side they are padded and cut together.
      both = self.model.embed_and_hash(images, normalize=False)
      return np.concatenate(both, axis=1)

    parts = ([], [])
    for images in files.progress(
      batches,
      desc='embedding',
      unit='batch',
      total=-(-len(names) // self.batch_size),
    ):
      parts[0].append(embed_padded(embed_raw, images, self.batch_size))
      if flip:
        parts[1].append(
          embed_padded(embed_raw, mirrored(images), self.batch_size)
        )
    plain = np.concatenate(parts[0])
    size = plain.shape[1] - self.hash_bits
    return Embeddings(
      names=tuple(names),
      plain=plain[:, :size],
      flip=np.concatenate(parts[1])[:, :size] if flip else None,
      training_mean=self.training_mean,
      logits=plain[:, size:] if self.hash_bits else None,
    )

  def pictures(self, names: Sequence[str]) -> list[bytes]:
    """Encoded images, as the archive holds them.

    Raises:
      DataError: an image is missing or cannot be read; names it.
    """
    return read_pictures(self._archive, names, where=str(self.data))

  def pair_list(self) -> PairList | None:
    """The pairs that the data bring with them; only a `.bin` does."""
    is_bin = isinstance(self._archive, BinPairs)
    return self._archive.pair_list() if is_bin else None

  def describe(self) -> dict[str, Any]:
    """JSON values for a report."""
    return {
      'model': self.name,
      'packed': self.model.is_packed,
      'preprocessing': self.model.preprocessing.to_json(),
      **({'hash_bits': self.hash_bits} if self.hash_bits else {}),
      'data': str(self.data),
    }

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the data, if there is one."""
    path = self.data.parent / name
    return path if path.exists() else None


def _is_feature_folder(path: files.PathLike) -> bool:
  """Whether a path leads to feature files rather than to arrays."""
  if not files.Path(path).is_dir() or is_embeddings_folder(path):
    return False
  return holds_features(path)


def open_source(
  *,
  model: files.PathLike | None = None,
  data: files.PathLike | None = None,
  embeddings: files.PathLike | None = None,
  batch_size: int = 128,
) -> ModelSource | SavedSource | FeatureFolderSource:
  """Opens a model directory with its images, or saved embeddings.

  Args:
    model: a model directory; it needs `data`.
    data: the images; with `embeddings`, those that a report may show.
    embeddings: what stands instead of a model: an .npz or a folder of arrays
      (`SavedSource`), or feature files (`FeatureFolderSource`).
    batch_size: images in one call of the model.

  Raises:
    UsageError: neither is given, or both.
    UserError: what is given cannot be opened.
  """
  if embeddings is not None:
    if model is not None:
      raise UsageError('--embeddings stands instead of --model')
    if _is_feature_folder(embeddings):
      return FeatureFolderSource(embeddings, images=data)
    return SavedSource(embeddings, images=data)
  if model is None or data is None:
    raise UsageError(
      'give --model and --data, or --embeddings; --model is '
      f'{model}, --data is {data}'
    )
  return ModelSource(
    facejax.load_model(model),
    data,
    batch_size=batch_size,
    name=str(model).rstrip('/'),
  )
