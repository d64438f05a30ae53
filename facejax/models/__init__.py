"""Architectures by name."""

import difflib
import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn

from facejax.errors import UsageError
from facejax.models.mobilefacenet import MobileFaceNet

MODELS: dict[str, Callable[..., nn.Module]] = {
  'mobilefacenet': MobileFaceNet,
  'mobilefacenet_m': functools.partial(MobileFaceNet, final_linear=False),
  'mobilefacenet_s': functools.partial(
    MobileFaceNet, final_linear=False, last_features=None
  ),
}


def _as_tuples(value: Any) -> Any:
  """Lists, which JSON knows alone, as the tuples that modules hash."""
  if isinstance(value, (list, tuple)):
    return tuple(_as_tuples(item) for item in value)
  return value


def get_model(name: str, **fields: Any) -> nn.Module:
  """The linen module of an architecture.

  Args:
    name: one of `MODELS`.
    **fields: the module's fields, such as `image_size` or `width`; lists
      (from JSON and configs) become tuples.

  Returns:
    A module that maps normalised images float32 [B, H, W, 3] and `train` to
    raw embeddings [B, D].

  Raises:
    UsageError: an unknown name or field; the nearest known one is named.
  """
  if name not in MODELS:
    near = difflib.get_close_matches(name, MODELS, 1) or sorted(MODELS)
    raise UsageError(f'no model is called {name!r}: use {" or ".join(near)}')
  make = MODELS[name]
  module = make.func if isinstance(make, functools.partial) else make
  known = set(module.__dataclass_fields__) - {'parent', 'name'}
  for field in fields:
    if field not in known:
      raise UsageError(
        f'{name} has no field {field!r}: it has {", ".join(sorted(known))}'
      )
  return make(**{key: _as_tuples(value) for key, value in fields.items()})
