"""InsightFace's verification sets (`.bin`): images and pairs in one pickle.

The pickle is (images, same): 2P encoded images, of which two in a row make a
pair, and P bools. Images are bytes, or uint8 arrays [n] or [n, 1]; Python 2
wrote many of these files.
"""

from typing import Any

import numpy as np

from facejax.array_typing import Int
from facejax.data.names import NameTable
from facejax.data.protocols import NUM_FOLDS, PairList
from facejax.data.remote import check_reachable
from facejax.data.unpickle import load_arrays
from facejax.errors import DataError
from facejax.files import PathLike


def _image(entry: Any, where: str) -> bytes:
  """The encoded image that an entry holds."""
  if isinstance(entry, bytes | bytearray):
    return bytes(entry)
  if isinstance(entry, np.ndarray) and entry.dtype == np.uint8:
    if entry.ndim == 1 or (entry.ndim == 2 and entry.shape[1] == 1):
      return entry.tobytes()
    shape = ', '.join(map(str, entry.shape))
    raise DataError(
      f'{where}: is an array [{shape}]: expected an encoded image, bytes or '
      'uint8 [n] or [n, 1]'
    )
  raise DataError(
    f'{where}: is of type {getattr(entry, "dtype", type(entry).__name__)}: '
    'expected an encoded image, bytes or uint8 [n]'
  )


def _same(entry: Any, where: str) -> bool:
  """Whether a pair shows one person; 0 and 1 stand for bools too."""
  is_flag = isinstance(entry, bool | np.bool_ | int | np.integer)
  if not is_flag or int(entry) not in (0, 1):
    raise DataError(f'{where}: is neither True nor False')
  return bool(entry)


def _parts(value: Any, where: str) -> tuple[Any, Any]:
  """The images and the pairs of a pickle."""
  if not isinstance(value, tuple | list) or len(value) != 2:
    raise DataError(
      f'{where}: its pickle is no pair (images, same) of a verification set'
    )
  images, same = value
  if not isinstance(images, tuple | list):
    raise DataError(f'{where}: its images are no list')
  if not isinstance(same, tuple | list) and np.ndim(same) != 1:
    raise DataError(f'{where}: what is the same person is no list')
  if len(images) != 2 * len(same):
    raise DataError(
      f'{where}: {len(images)} images for {len(same)} pairs, expected '
      f'{2 * len(same)}'
    )
  if not len(same):
    raise DataError(f'{where}: holds no pair')
  return images, same


def contiguous_folds(
  num_pairs: int, *, num_folds: int = NUM_FOLDS
) -> Int[np.ndarray, ' P']:
  """Folds that a list is cut into as it stands, whatever its kinds.

  Those of InsightFace's verification: KFold(10, shuffle=False) of
  scikit-learn, where the first folds take what does not divide.

  Args:
    num_pairs: P.
    num_folds: folds wanted; a shorter list gets one for every pair.

  Returns:
    Int [P], 0 .. F-1.
  """
  num_folds = max(1, min(num_folds, num_pairs))
  size, more = divmod(num_pairs, num_folds)
  sizes = size + (np.arange(num_folds) < more)
  return np.repeat(np.arange(num_folds, dtype=np.int64), sizes)


class BinPairs:
  """The images of a `.bin`, an `Archive`, and its pairs; picklable.

  An image is called by its place, '000000.jpg', whatever its encoding. One
  that stands in several pairs has several names, as the file has it. All are
  kept in memory, as encoded: LFW's set takes some 70 MB.
  """

  def __init__(self, path: PathLike):
    """Reads the file; none of the pickle's code is run.

    Raises:
      DataError: missing, damaged, refused, or no verification set.
    """
    self.path = check_reachable(path)
    try:
      data = self.path.read_bytes()
    except OSError as error:
      raise DataError(
        f'{path}: cannot be read ({error.strerror or error})'
      ) from None
    images, same = _parts(load_arrays(data, where=str(path)), str(path))
    self._images = [
      _image(entry, f'{path}: image {place}')
      for place, entry in enumerate(images)
    ]
    self.same = np.array(
      [
        _same(entry, f'{path}: pair {place}')
        for place, entry in enumerate(same)
      ]
    )
    width = max(6, len(str(len(self._images) - 1)))
    self._names = NameTable.of(
      f'{place:0{width}d}.jpg' for place in range(len(self._images))
    )
    self._places = {name: place for place, name in enumerate(self._names)}

  def names(self) -> NameTable:
    """Names of all images, in the order of the file."""
    return self._names

  def read(self, name: str) -> bytes:
    """The encoded image of a name.

    Raises:
      DataError: there is none.
    """
    try:
      return self._images[self._places[name]]
    except KeyError:
      raise DataError(f'{self.path}: has no image {name}') from None

  def pair_list(self) -> PairList:
    """The pairs in the order of the file, in InsightFace's ten folds."""
    names = list(self._names)
    return PairList(
      tuple(names[0::2]),
      tuple(names[1::2]),
      self.same,
      contiguous_folds(len(self.same)),
    )
