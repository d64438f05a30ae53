"""What may go into an index."""

from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Float, UInt8
from facejax.errors import DataError, UsageError
from facejax.search.manifest import Manifest

_NORM_TOLERANCE = 1e-2


def check_names(names: Sequence[str], what: str) -> None:
  """Refuses what cannot be a name.

  Raises:
    DataError: a name is empty or is no text that a file system could hold.
  """
  for name in names:
    try:
      if not name:
        raise DataError(f'a {what} is empty: give every one a name')
      name.encode('utf-8', 'surrogateescape')
    except UnicodeEncodeError:
      raise DataError(f'{what} {name!r}: is no text of Unicode') from None


def check_templates(
  manifest: Manifest,
  names: Sequence[str],
  people: Sequence[str],
  codes: UInt8[np.ndarray, '_ _'] | None,
  embeddings: Float[np.ndarray, '_ _'] | None,
) -> None:
  """Refuses templates that do not fit the index or each other.

  Raises:
    UsageError: other parts than the index stores, or of other sizes.
    DataError: an embedding that is not finite or not of unit norm.
  """
  if isinstance(names, str) or isinstance(people, str):
    raise UsageError('names and people are lists: [name] for one template')
  if len(names) != len(people):
    raise UsageError(f'{len(names)} names, but {len(people)} people')
  size = manifest.embedding_size if manifest.vectors != 'none' else 0
  for what, values, length in (
    ('codes', codes, manifest.bits // 8),
    ('embeddings', embeddings, size),
  ):
    if length and values is None:
      raise UsageError(f'the index stores {what}: give them')
    if not length and values is not None:
      raise UsageError(f'the index stores no {what}: leave them out')
    if length and values.shape != (len(names), length):
      raise UsageError(
        f'{what} have shape {list(values.shape)}, expected '
        f'[{len(names)}, {length}]'
      )
  check_names(names, 'name')
  check_names(people, 'person')
  if size:
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE))
    if len(bad):
      raise DataError(
        f'{names[bad[0]]}: the embedding has norm {norms[bad[0]]:g}, expected 1'
      )
