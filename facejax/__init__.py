"""facejax: compact face-recognition models in JAX.

Importing this package costs next to nothing and imports no JAX; the names of
a finished model's user load on first use.
"""

from typing import Any

__version__ = '0.1.0'
__all__ = ['FaceModel', 'embed_photos', 'load_model', 'verify']


def __getattr__(name: str) -> Any:
  """Loads public names on first use (PEP 562)."""
  if name in __all__:
    from facejax import inference

    return getattr(inference, name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
