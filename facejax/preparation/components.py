"""What pairs join, over any number of steps."""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from facejax.array_typing import Int


def components(
  count: int, pairs: Int[np.ndarray, 'P 2']
) -> Int[np.ndarray, ' N']:
  """The lowest member of the connected component of each of `count` things.

  Args:
    count: N.
    pairs: two of the things each, 0 .. N - 1, that belong together.
  """
  joined = sparse.coo_array(
    (np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count)
  )
  _, numbers = csgraph.connected_components(joined, directed=False)
  _, first = np.unique(numbers, return_index=True)
  return first[numbers]
