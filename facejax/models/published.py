"""What papers and projects print about the size of their nets.

Every figure is kept as it is printed, since its last digit says how far it may
be rounded. Where our counts differ by more, a remark says why, or that nobody
knows; `models.listing` finds those places, so that none is passed over.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

_UNITS = {'': 1, 'K': 1e3, 'M': 1e6, 'G': 1e9, 'MB': 1e6, 'GB': 1e9}
_MFN = 'MobileFaceNets, Table 2'
_MFN_OTHERS = 'MobileFaceNets, Table 3'
_HAN = 'Han et al., Deep Compression, Table 1'
_WU = 'Wu et al., Light CNN'
_ZENG = 'Zeng et al., Weighted Hashing'


@dataclasses.dataclass(frozen=True)
class Published:
  """The figures of one source about one net; an empty string is no figure.

  Attributes:
    name: of `facejax.models.MODELS`.
    source: who prints them.
    parameters: as printed, '0.99 M'.
    multiply_adds: as printed, of one image.
    size: as printed, '4.0 MB', four bytes a parameter.
    counted: which field of `Counts` `parameters` is, as far as one can tell.
    identities: K of the classifier that the figures include, 0 for none.
    biased: whether that classifier has a bias for each of them.
    fields: of the model, where they are not its defaults.
    remark: why the counts differ beyond rounding; empty if they do not.
  """

  name: str
  source: str
  parameters: str = ''
  multiply_adds: str = ''
  size: str = ''
  counted: str = 'parameters'
  identities: int = 0
  biased: bool = False
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  remark: str = ''


def agrees(printed: str, count: float | int) -> bool:
  """Whether a count rounds to a printed figure.

  Args:
    printed: a number and a unit, '0.99 M'; K, M and G are powers of ten.
    count: what it may stand for.

  Raises:
    ValueError: no such figure.
  """
  match = re.fullmatch(r'(\d+)(?:\.(\d+))? ?([KMG]?B?)', printed)
  if match is None or match[3] not in _UNITS:
    raise ValueError(f'{printed!r} is no printed figure')
  whole, decimals, unit = match.groups(default='')
  step = _UNITS[unit] / 10 ** len(decimals)
  return abs(count - int(whole + decimals) * step) <= step / 2


def _mobile(name: str, parameters: str, **rest: Any) -> Published:
  """A row of the MobileFaceNet paper, which counts folded models."""
  return Published(name, _MFN, parameters, counted='folded_parameters', **rest)


PUBLISHED: tuple[Published, ...] = (
  _mobile('mobilefacenet', '0.99 M', multiply_adds='221 M'),
  Published('mobilefacenet', _MFN_OTHERS, size='4.0 MB'),
  _mobile('mobilefacenet', '0.99 M', fields={'image_size': (112, 96)}),
  _mobile('mobilefacenet', '0.99 M', fields={'image_size': (96, 96)}),
  _mobile(
    'mobilefacenet',
    '0.98 M',
    fields={'activation': 'relu'},
    remark='the printed figure is cut off, not rounded',
  ),
  _mobile(
    'mobilefacenet',
    '1.1 M',
    fields={'expansion_scale': 2.0},
    remark=(
      'the printed row does not describe a doubling of every expansion; '
      'doubling that of the first stage alone gives 1.095 M'
    ),
  ),
  Published(
    'mobilefacenet',
    'TFace and FaceX-Zoo',
    '1.19 M',
    multiply_adds='227.57 M',
    size='4.7 MB',
    counted='folded_parameters',
    fields={'embedding_size': 512},
    remark=(
      'their counters are not ours, which counts convolutions and dense layers '
      'alone, and four bytes a parameter before folding'
    ),
  ),
  _mobile(
    'mobilefacenet_m',
    '0.92 M',
    remark='the printed figure is cut off, not rounded',
  ),
  _mobile('mobilefacenet_s', '0.84 M'),
  _mobile('mobilenet_v1', '3.2 M'),
  _mobile(
    'mobilenet_v2',
    '2.1 M',
    remark=(
      'Table 2 of the MobileNetV2 paper makes 2.2 M, with BatchNorm or without'
    ),
  ),
  _mobile(
    'mobilenet_v2_gdconv',
    '2.1 M',
    remark=(
      'it is printed equal to mobilenet_v2, and has 62,720 weights more for '
      'the global depthwise convolution'
    ),
  ),
  _mobile(
    'shufflenet',
    '0.83 M',
    remark='its kernels alone, without BatchNorm, hold 829,998 weights',
  ),
  Published(
    'mbf',
    'InsightFace, arcface_torch',
    multiply_adds='0.45 G',
    size='13 MB',
    remark=(
      'the printed 0.45 G is of an unknown counter, and 13 MB is the size of '
      'the released file w600k_mbf.onnx, more than the source code of the net '
      'makes'
    ),
  ),
  Published(
    'vgg16',
    _ZENG,
    size='710.3 MB',
    identities=10_575,
    biased=True,
  ),
  Published(
    'vgg16',
    _MFN_OTHERS,
    size='0.5 GB',
    identities=2_622,
    biased=True,
    remark='in units of 2^30 bytes it is 0.54',
  ),
  Published(
    'sphereface20',
    _ZENG,
    size='112.3 MB',
    identities=10_572,
  ),
  Published(
    'iresnet100',
    _MFN_OTHERS,
    size='250 MB',
    remark='in units of 2^20 bytes it is 248.5',
  ),
  Published(
    'lightcnn9',
    _WU,
    '5556 K',
    remark='the figure is quoted from memory, and its difference unexplained',
  ),
  Published(
    'lightcnn29',
    _WU,
    '12.64 M',
    remark='the figure is quoted from memory, and its difference unexplained',
  ),
  Published('lightcnn29', _MFN_OTHERS, size='50 MB'),
  Published('lenet5', _HAN, '431 K', identities=10, biased=True),
  Published('alexnet', _HAN, '61 M', identities=1000, biased=True),
)
