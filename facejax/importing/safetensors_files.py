"""Files of safetensors to arrays by name."""

import re

import numpy as np
import safetensors

from facejax.data.remote import check_reachable
from facejax.errors import DataError
from facejax.files import PathLike

_TYPES = {
  'F64': '<f8',
  'F32': '<f4',
  'F16': '<f2',
  'I64': '<i8',
  'I32': '<i4',
  'I16': '<i2',
  'I8': 'i1',
  'U8': 'u1',
  'BOOL': '?',
}


def read_safetensors(path: PathLike) -> dict[str, np.ndarray]:
  """Reads a file of safetensors.

  The format sorts its arrays by name. They come back with the numbers in their
  names counted, 'layers.2' before 'layers.10', since the order in which a
  module registered them is not there.

  Args:
    path: a local file or a remote one.

  Returns:
    Arrays by name, in the dtypes of the file; bfloat16 as float32.

  Raises:
    DataError: damaged, or a type that is not read.
  """
  path = check_reachable(path)
  try:
    entries = safetensors.deserialize(path.read_bytes())
  except safetensors.SafetensorError as error:
    raise DataError(f'{path}: is no readable safetensors ({error})') from None
  arrays = {}
  for name, entry in sorted(entries, key=lambda item: _by_number(item[0])):
    kind, data = entry['dtype'], entry['data']
    if kind == 'BF16':
      array = (np.frombuffer(data, '<u2').astype('<u4') << 16).view('<f4')
    elif kind in _TYPES:
      array = np.frombuffer(data, _TYPES[kind])
    else:
      raise DataError(
        f'{path}: {name} is of type {kind}, which is not read: save it as '
        'float32'
      )
    arrays[name] = array.reshape(entry['shape'])
  return arrays


def _by_number(name: str) -> list[tuple[int, str]]:
  """A key that sorts 'a2' before 'a10'."""
  parts = re.split(r'([0-9]+)', name)
  return [(int(p), '') if p.isdecimal() else (-1, p) for p in parts]
