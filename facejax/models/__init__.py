"""Architectures by name."""

import difflib
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from facejax.errors import UsageError
from facejax.models import ir, iresnet, lightcnn, residual, sphereface
from facejax.models.alexnet import AlexNet
from facejax.models.insightface_mbf import InsightFaceMbf, InsightFaceMbfLarge
from facejax.models.lenet import LeNet5
from facejax.models.mobilefacenet import MobileFaceNet
from facejax.models.mobilenet_v1 import MobileNetV1
from facejax.models.mobilenet_v2 import MobileNetV2
from facejax.models.resnet_mfm import ResNetMFM
from facejax.models.shufflenet import ShuffleNet
from facejax.models.vgg import VGGFace

MODELS: dict[str, Callable[..., nn.Module]] = {
  'mobilefacenet': MobileFaceNet,
  'mobilefacenet_m': functools.partial(MobileFaceNet, embedding_size=None),
  'mobilefacenet_s': functools.partial(
    MobileFaceNet, embedding_size=None, last_features=None
  ),
  'mobilenet_v1': MobileNetV1,
  'mobilenet_v2': MobileNetV2,
  'mobilenet_v2_gdconv': functools.partial(MobileNetV2, tail='depthwise'),
  'shufflenet': ShuffleNet,
  'mbf': InsightFaceMbf,
  'mbf_large': InsightFaceMbfLarge,
  'vgg16': VGGFace,
  **{
    f'sphereface{depth}': functools.partial(sphereface.SphereFace, depth=depth)
    for depth in sphereface.UNITS
  },
  **{
    f'ir{depth}': functools.partial(ir.IRNet, depth=depth)
    for depth in residual.UNITS
  },
  **{
    f'ir_se{depth}': functools.partial(ir.IRNet, depth=depth, se_ratio=16)
    for depth in residual.UNITS
  },
  **{
    f'iresnet{depth}': functools.partial(iresnet.IResNet, depth=depth)
    for depth in residual.UNITS
  },
  **{
    f'lightcnn{depth}': functools.partial(lightcnn.LightCNN, depth=depth)
    for depth in lightcnn.UNITS
  },
  'lightcnn29_v2': functools.partial(lightcnn.LightCNN, depth=29, version=2),
  'resnet_mfm': ResNetMFM,
  'lenet5': LeNet5,
  'alexnet': AlexNet,
}


def _as_tuples(value: Any) -> Any:
  """Lists, which JSON knows alone, as the tuples that modules hash."""
  if isinstance(value, (list, tuple)):
    return tuple(_as_tuples(item) for item in value)
  return value


def check_dtype(dtype: Any) -> None:
  """Raises UsageError unless products and activations can have this type."""
  try:
    good = dtype is None or jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
  except TypeError:
    good = False
  if not good:
    raise UsageError(f'dtype {dtype!r}: use float32, bfloat16 or float16')


def get_model(name: str, **fields: Any) -> nn.Module:
  """The linen module of an architecture.

  Args:
    name: one of `MODELS`.
    **fields: the module's fields, such as `image_size` or `width`; lists
      (from JSON and configs) become tuples.

  Returns:
    A `FaceNet`: it maps normalised images float32 [B, H, W, C] and `train` to
    raw embeddings [B, D].

  Raises:
    UsageError: an unknown name or field, the nearest known one is named; a
      field that the name fixes; a dtype that is none.
  """
  if name not in MODELS:
    near = difflib.get_close_matches(name, MODELS, 1) or sorted(MODELS)
    raise UsageError(f'no model is called {name!r}: use {" or ".join(near)}')
  make = MODELS[name]
  partial = isinstance(make, functools.partial)
  module, fixed = (make.func, make.keywords) if partial else (make, {})
  known = set(module.__dataclass_fields__) - {'parent', 'name', *fixed}
  for field in fields:
    if field in fixed:
      raise UsageError(f'{name} is the net with {field}={fixed[field]!r}')
    if field not in known:
      raise UsageError(
        f'{name} has no field {field!r}: it has {", ".join(sorted(known))}'
      )
  check_dtype(fields.get('dtype'))
  return make(**{key: _as_tuples(value) for key, value in fields.items()})
