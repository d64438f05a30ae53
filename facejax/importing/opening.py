"""The one entrance to nets in files of other systems."""

import re
from collections.abc import Callable

from facejax.data.remote import check_reachable
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.importing.graph_net import to_net
from facejax.importing.mxnet_params import MAGIC as MXNET_MAGIC
from facejax.importing.mxnet_params import read_params
from facejax.importing.mxnet_symbol import read_symbol
from facejax.importing.onnx_files import read_onnx
from facejax.importing.pytorch_files import LEGACY_MAGIC, read_state_dict
from facejax.importing.safetensors_files import read_safetensors
from facejax.importing.source import SourceNet
from facejax.importing.state_dict import to_layers

FORMATS = ('onnx', 'pytorch', 'mxnet')
_HEAD_BYTES = 16
_OTHERS = (
  (b'\x89HDF', 'HDF5 of Keras: convert it to ONNX with tf2onnx'),
  (b'\x93NUMPY', 'an array of NumPy, no net'),
  (b'Rar!', 'an archive: unpack it'),
  (b'\x1f\x8b', 'an archive: unpack it'),
  (b'7z\xbc\xaf', 'an archive: unpack it'),
  (b'version https:', 'a Git LFS pointer: fetch the file itself'),
  (b'<', 'a web page, not the file: download it again'),
)


def read_net(
  path: PathLike, *, format: str, symbol: PathLike | None = None
) -> SourceNet:
  """Reads the weights of another system.

  Args:
    path: of the weights: .onnx; a state dict or a checkpoint that holds one, of
      torch.save or safetensors; .params of MXNet.
    format: one of `FORMATS`.
    symbol: the JSON symbol of MXNet weights; None: PREFIX-symbol.json beside
      PREFIX-0000.params.

  Returns:
    The layers, float32 and finite.

  Raises:
    UsageError: no such file, an unknown format or one that the bytes
      contradict, or a symbol for a format without one.
    DataError: the file is damaged, may run code, or no net here is like it.
  """
  if format not in FORMATS:
    raise UsageError(f'format={format!r}: use one of {", ".join(FORMATS)}')
  if symbol is not None and format != 'mxnet':
    raise UsageError(f'symbol is for format=mxnet, not for {format}')
  path = _existing(path)
  head = _head(path)
  _check_format(path, head, format)
  if format == 'onnx':
    return to_net(read_onnx(path))
  if format == 'mxnet':
    symbol = _find_symbol(path) if symbol is None else _existing(symbol)
    return to_net(read_symbol(symbol, read_params(path)))
  read = read_safetensors if _is_safetensors(head) else read_state_dict
  return _from_state_dict(path, read)


def _from_state_dict(path: Path, read: Callable) -> SourceNet:
  layers, ignored = to_layers(read(path), where=str(path))
  if not layers:
    raise DataError(f'{path}: holds no layer: save model.state_dict()')
  return SourceNet(str(path), layers, is_graph=False, ignored=ignored)


def _existing(path: PathLike) -> Path:
  path = check_reachable(path)
  if not path.is_file():
    problem = (
      'is a folder: give the file' if path.is_dir() else 'does not exist'
    )
    raise UsageError(f'{path} {problem}')
  return path


def _head(path: Path) -> bytes:
  try:
    with path.open('rb') as file:
      return file.read(_HEAD_BYTES)
  except OSError as error:
    raise DataError(
      f'{path}: cannot be read ({error.strerror or error})'
    ) from None


def _is_safetensors(head: bytes) -> bool:
  return head[8:9] == b'{'  # behind the length of the header, 8 bytes


def _format_of(head: bytes) -> str | None:
  """The format that the first bytes of a file prove; None if they do not."""
  if head.startswith((b'PK\3\4', LEGACY_MAGIC)) or _is_safetensors(head):
    return 'pytorch'
  if head.startswith(MXNET_MAGIC[:8]):
    return 'mxnet'
  # The version of the format, field 1 as a varint; then field 2 or beyond.
  is_onnx = head[:1] == b'\x08' and head[2:3] in b'\x12\x1a\x22\x3a\x42\x72'
  return 'onnx' if is_onnx and len(head) > 2 else None


def _check_format(path: Path, head: bytes, format: str) -> None:
  found = _format_of(head)
  if found == format:
    return
  if found is not None:
    raise UsageError(f'{path} is no {format} file: use format={found}')
  for magic, name in _OTHERS:
    if head.startswith(magic):
      raise UsageError(f'{path} is no {format} file but {name}')
  if format == 'mxnet' and head.lstrip().startswith(b'{'):
    raise UsageError(
      f'{path} is a symbol: give the .params file, and this as the symbol'
    )


def _find_symbol(path: Path) -> Path:
  prefix = re.fullmatch(r'(.+)-[0-9]{4}\.params', path.name)
  if prefix:
    symbol = path.parent / f'{prefix[1]}-symbol.json'
    if symbol.is_file():
      return symbol
  name = symbol.name if prefix else 'PREFIX-symbol.json'
  raise UsageError(
    f'{path}: needs its symbol, and {name} is not beside it: name it'
  )
