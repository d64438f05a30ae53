"""Array types and the dimension key used in every signature.

B batch; H W C height, width, channels; D embedding; K identities; S shards;
P pairs; T templates; G gallery; Q probes; L hash bits. A capital in a shape
string means the same thing everywhere; `...` is any number of axes.

The annotations cost nothing in production; the tests check them.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import (
  Array,
  Bool,
  Float,
  Int,
  Int8,
  Int32,
  Int64,
  Shaped,
  UInt8,
  UInt32,
)

AnyArray = jax.Array | np.ndarray
PyTree = Any
Key = jax.Array

__all__ = [
  'AnyArray',
  'Array',
  'Bool',
  'Float',
  'Int',
  'Int32',
  'Int64',
  'Int8',
  'Key',
  'PyTree',
  'Shaped',
  'UInt32',
  'UInt8',
]
