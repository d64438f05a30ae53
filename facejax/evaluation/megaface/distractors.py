"""Very many images of other people, whose features come block by block."""

import contextlib
import dataclasses
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from facejax import files
from facejax.array_typing import Bool, Float
from facejax.data.megaface_lists import read_distractor_list
from facejax.data.names import NameTable
from facejax.data.protocols import resolve_names
from facejax.errors import DataError, UsageError
from facejax.evaluation.embedding_files import is_embeddings_folder
from facejax.evaluation.embeddings import SavedSource
from facejax.evaluation.feature_files import FeatureFolderSource, holds_features
from facejax.evaluation.modes import MODES, check_mode, unit_features
from facejax.evaluation.scoring.blocks import Block
from facejax.evaluation.sources import EmbeddingSource, ModelSource

NOBODY, PADDING = np.iinfo(np.int32).max, -1  # labels
SAME_NAMES = ('refuse', 'exclude', 'keep')
_BLOCK = 1 << 14

Pictures = Callable[[Sequence[str]], list[bytes] | None]


@dataclasses.dataclass(frozen=True)
class Distractors:
  """Images of people none of whom is looked for.

  Invariants: features may be read any number of times and cheaply, by blocks;
  only a block of them is in memory through this.

  Attributes:
    names: of the M images, in the order of their list.
    read: features float32 [stop - start, D], unit norm, of names
      start .. stop - 1.
    pictures: encoded images by name, or None where they are not known.
    num_excluded: images left out because their folder has a probe's name.
    noise: bool [M], images that a refined list takes out; None where none is.
    noise_is_zero: whether those score 0 against everything; otherwise they are
      out of reach, below all others.
  """

  names: Sequence[str]
  read: Callable[[int, int], Float[np.ndarray, 'C D']]
  pictures: Pictures = lambda names: None
  num_excluded: int = 0
  noise: Bool[np.ndarray, ' M'] | None = None
  noise_is_zero: bool = False

  def __len__(self) -> int:
    return len(self.names)

  @property
  def num_out_of_reach(self) -> int:
    """Images that count as distractors but are like nothing."""
    if self.noise is None or self.noise_is_zero:
      return 0
    return int(self.noise.sum())

  def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Block]:
    """Features and labels of some of the images, in their order.

    Labels are those of nobody else; what is out of reach has that of padding,
    so that it is not scored.
    """
    stop = len(self) if stop is None else stop
    for first in range(start, stop, _BLOCK):
      last = min(first + _BLOCK, stop)
      features = self.read(first, last)
      labels = np.full(last - first, NOBODY, np.int32)
      if self.noise is not None:
        noise = self.noise[first:last]
        if self.noise_is_zero:
          features = np.where(noise[:, None], np.float32(0), features)
        else:
          labels[noise] = PADDING
      yield features, labels


def open_distractor_source(
  path: files.PathLike,
  probes: EmbeddingSource,
  *,
  suffix: str | None = None,
) -> EmbeddingSource:
  """Opens distractors by what lies at a path.

  Args:
    path: an .npz or a folder of embeddings, a folder (zip, tar) of feature
      files, or one of images, which the model of the probes embeds.
    probes: where the probes come from.
    suffix: of feature files.

  Raises:
    DataError: nothing usable is there.
    UsageError: images, but the probes come from no model.
  """
  if str(path).endswith('.npz') or is_embeddings_folder(path):
    return SavedSource(path)
  if holds_features(path):
    return FeatureFolderSource(path, suffix=suffix)
  model = getattr(probes, 'model', None)  # saved embeddings have none
  if model is None:
    raise UsageError(
      f'--distractors={path} are images, and no model is given to embed them: '
      'give embeddings (.npz) or feature files of the same model, or --model'
    )
  return ModelSource(
    model, path, batch_size=probes.batch_size, name=probes.name
  )


def _folder(name: str) -> str:
  """The folder an image lies in, '' for none."""
  return posixpath.basename(posixpath.dirname(name))


def _apart(
  names: Sequence[str], probes: Sequence[str], rule: str
) -> tuple[Sequence[str], int]:
  """Distractors whose folder has no probe's name, and how many had one.

  Raises:
    UsageError: some have, and nobody said what that means.
  """
  if rule not in SAME_NAMES:
    raise UsageError(f'same_names {rule!r}: use {", ".join(SAME_NAMES)}')
  people = {_folder(name) for name in probes} - {''}
  if rule == 'keep' or not people:
    return names, 0
  shared = np.array([_folder(name) in people for name in names], bool)
  count = int(shared.sum())
  if not count:
    return names, 0
  if rule == 'refuse':
    both = sorted({_folder(names[i]) for i in np.flatnonzero(shared)})
    raise UsageError(
      f'{both[0]} and {len(both) - 1} others are folders of both probes and '
      f'distractors, {count} images: leave those distractors out '
      '(--same_names=exclude) or, if the names mean nothing, keep them '
      '(--same_names=keep)'
    )
  kept = NameTable.of(names[i] for i in np.flatnonzero(~shared))
  return kept, count


def _store(
  source: EmbeddingSource, names: Sequence[str], mode: str, path: str
) -> int:
  """Writes the features of all images to a file; returns their dimension."""
  dimension = 0
  with open(path, 'wb') as file:
    for start in files.progress(
      range(0, len(names), _BLOCK), desc='distractors', unit='block', delay=2
    ):
      features = _features(source, names[start : start + _BLOCK], mode)
      features.tofile(file)
      dimension = features.shape[1]
  return dimension


def _features(
  source: EmbeddingSource, names: Sequence[str], mode: str
) -> Float[np.ndarray, 'C D']:
  """Unit features of some images, in memory."""
  found = source.embed(tuple(names), flip=MODES[mode].needs_flip)
  return unit_features(found, mode)


@contextlib.contextmanager
def open_distractors(
  source: EmbeddingSource,
  probes: Sequence[str],
  *,
  mode: str,
  images: files.PathLike | None = None,
  count: int | None = None,
  same_names: str = 'refuse',
) -> Iterator[Distractors]:
  """Makes the features of distractors readable block by block.

  What saved embeddings do not bring, features from images or from a million
  small files, is computed once, into a temporary file.

  Args:
    source: gives the embeddings.
    probes: names of the probes.
    mode: a name of `modes.MODES`, none that is transductive.
    images: the list of the distractors; None takes all, sorted by name.
    count: how many are wanted, the first in the list; None takes all.
    same_names: what a folder that probes and distractors share means: 'refuse'
      raises, 'exclude' leaves those distractors out, 'keep' takes them as
      different people.

  Yields:
    The distractors; their features are gone when the block ends.

  Raises:
    DataError: a list, an image or an embedding cannot be used.
    UsageError: an option cannot be followed.
  """
  check_mode(
    mode, has_flip=source.has_flip, has_mean=source.training_mean is not None
  )
  names = source.names()
  if images is not None:
    wanted = read_distractor_list(images).names
    found = resolve_names(wanted, names, where=f'{source.name} (distractors)')
    names = NameTable.of(found[name] for name in wanted)
  names, excluded = _apart(names, probes, same_names)
  if count is not None:
    if not 1 <= count <= len(names):
      raise UsageError(f'--num_distractors={count}: there are {len(names)}')
    names = names if count == len(names) else names[:count]
  if not len(names):
    raise DataError(f'{source.name}: there are no distractors')
  with tempfile.TemporaryDirectory(prefix='distractors') as folder:
    yield Distractors(
      names,
      _reader(source, names, mode, os.path.join(folder, 'features')),
      source.pictures,
      excluded,
    )


def _reader(
  source: EmbeddingSource, names: Sequence[str], mode: str, path: str
) -> Callable[[int, int], Float[np.ndarray, 'C D']]:
  """How blocks of features are read: from what is saved, or from a file."""
  if isinstance(source, SavedSource):
    return lambda start, stop: _features(source, names[start:stop], mode)
  dimension = _store(source, names, mode, path)

  def read(start: int, stop: int) -> np.ndarray:
    found = np.fromfile(
      path,
      np.float32,
      count=(stop - start) * dimension,
      offset=start * dimension * np.dtype(np.float32).itemsize,
    )
    return found.reshape(-1, dimension)

  return read
