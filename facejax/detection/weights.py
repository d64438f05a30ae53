"""The weights of MTCNN: from the `mtcnn` wheel, then from a cache.

The wheel (MIT licence) holds joblib pickles under lz4. They are read once, by
the restricted unpickler and without importing the wheel, which would import
TensorFlow; after that, and in other processes, from a safetensors file.
"""

import importlib.metadata
import io
import math
import pickle
from collections.abc import Iterator
from typing import Any

import lz4.frame
import numpy as np
import safetensors
import safetensors.numpy

from facejax import files
from facejax.array_typing import PyTree
from facejax.data.unpickle import RestrictedUnpickler
from facejax.detection.networks import parameter_shapes
from facejax.errors import DataError
from facejax.trees import map_named, named_leaves

_FOLDER = 'mtcnn/assets/weights'
_CONV = ('conv/kernel', 'conv/bias', 'activation/slope')
_HIDDEN = ('dense/kernel', 'dense/bias', 'activation/slope')
_DENSE = ('kernel', 'bias')


def _names(blocks: int, hidden: bool, heads: tuple[str, ...]) -> list[str]:
  """Names of our parameters in the order of the wheel's files."""
  return [
    *(f'block{i + 1}/{part}' for i in range(blocks) for part in _CONV),
    *(f'hidden/{part}' for part in _HIDDEN if hidden),
    *(f'{head}/{part}' for head in heads for part in _DENSE),
  ]


_CONTENT = {
  'pnet': _names(3, False, ('offsets', 'scores')),
  'rnet': _names(3, True, ('offsets', 'scores')),
  'onet': _names(4, True, ('offsets', 'landmarks', 'scores')),
}


def _array_class(file: io.BytesIO) -> type:
  """What stands for joblib's array class while `file` is unpickled.

  The bytes of an array follow its pickled description in the stream: one that
  tells how many bytes of padding come first, the padding, the numbers.
  """

  class JoblibArray:
    array = None

    def __setstate__(self, state: dict[str, Any]) -> None:
      dtype, shape = state['dtype'].dtype, state['shape']
      if dtype != np.float32 or state['order'] not in ('C', 'F'):
        raise pickle.UnpicklingError('expected float32 arrays')
      if not all(isinstance(n, int) and n > 0 for n in shape):
        raise pickle.UnpicklingError('an array has an impossible shape')
      file.read(file.read(1)[0])
      data = file.read(4 * math.prod(shape))
      self.array = np.frombuffer(data, dtype).reshape(
        shape, order=state['order']
      )

  return JoblibArray


def read_joblib(data: bytes, where: str) -> list[np.ndarray]:
  """The float32 arrays of a joblib pickle that holds a list of them.

  Args:
    data: the file, under lz4.
    where: what to call it in an error.

  Raises:
    DataError: damaged, or holds anything else; none of its code has run.
  """
  try:
    file = io.BytesIO(lz4.frame.decompress(data))
  except RuntimeError as error:
    raise DataError(f'{where}: is no readable lz4 file ({error})') from None
  array_class = _array_class(file)
  unpickler = RestrictedUnpickler(
    file,
    where=where,
    admitted={('joblib.numpy_pickle', 'NumpyArrayWrapper'): array_class},
  )
  items = unpickler.load()
  if not isinstance(items, list) or not all(
    isinstance(item, array_class) and item.array is not None for item in items
  ):
    raise DataError(f'{where}: is no list of arrays')
  return [item.array for item in items]


def _rows_first(kernel: np.ndarray, positions: int) -> np.ndarray:
  """Turns a dense kernel whose inputs run over columns first, then rows."""
  side = math.isqrt(positions)
  inputs, features = kernel.shape
  kernel = kernel.reshape(side, side, inputs // positions, features)
  return kernel.swapaxes(0, 1).reshape(inputs, features)


def _convert(
  network: str, arrays: list[np.ndarray], where: str
) -> dict[str, np.ndarray]:
  """Parameters by name from a file's arrays."""
  names = _CONTENT[network]
  if len(arrays) != len(names):
    raise DataError(f'{where}: has {len(arrays)} arrays, not {len(names)}')
  found = dict(zip(names, arrays, strict=True))
  for name, array in found.items():
    if name.startswith('hidden/dense/kernel'):
      array = _rows_first(array, 9)  # both end in maps of 3 x 3
    elif name.endswith('slope'):
      array = array.reshape(-1)
    elif not name.startswith(('block', 'hidden')) and array.ndim == 4:
      array = array.reshape(array.shape[-2:])  # a 1 x 1 convolution
    found[name] = array
  return {f'{network}/{name}': array for name, array in found.items()}


def _as_tree(found: dict[str, np.ndarray], where: str) -> PyTree:
  """The parameters of all networks, each of the shape it must have."""
  shapes = parameter_shapes()
  if found.keys() != named_leaves(shapes).keys():
    raise DataError(f'{where}: does not hold the three networks of MTCNN')

  def take(name: str, shape: Any) -> np.ndarray:
    array = found[name]
    if array.shape != shape.shape or array.dtype != shape.dtype:
      raise DataError(f'{where}: {name} is {array.dtype}{list(array.shape)}')
    return array

  return map_named(take, shapes)


def _wheel() -> importlib.metadata.Distribution:
  try:
    return importlib.metadata.distribution('mtcnn')
  except importlib.metadata.PackageNotFoundError:
    raise DataError(
      'the weights of MTCNN are not installed: pip install mtcnn (TensorFlow '
      'is not needed)'
    ) from None


def _read_wheel(wheel: importlib.metadata.Distribution) -> Iterator[Any]:
  """Pairs of name and array from the wheel's files."""
  for network in _CONTENT:
    path = files.Path(wheel.locate_file(f'{_FOLDER}/{network}.lz4'))
    try:
      data = path.read_bytes()
    except OSError as error:
      raise DataError(
        f'{path}: cannot be read ({error.strerror}): install mtcnn again'
      ) from None
    arrays = read_joblib(data, str(path))
    yield from _convert(network, arrays, str(path)).items()


def load_weights() -> PyTree:
  """The parameters of 'pnet', 'rnet' and 'onet', float32.

  Raises:
    DataError: the wheel is missing, or holds something else.
  """
  wheel = _wheel()
  cached = files.cache_directory() / f'mtcnn-{wheel.version}.safetensors'
  try:
    return _as_tree(safetensors.numpy.load(cached.read_bytes()), str(cached))
  except (OSError, safetensors.SafetensorError, DataError):
    found = dict(_read_wheel(wheel))
  tree = _as_tree(found, f'mtcnn {wheel.version}')
  try:
    files.write_bytes(cached, safetensors.numpy.save(named_leaves(tree)))
  except OSError as error:
    # Reading the wheel takes little time: without a cache, every time.
    files.note(f'{cached}: not written ({error.strerror})')
  return tree
