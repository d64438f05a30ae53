"""A process that searches an index while others write.

  python -m tests.search.reader PATH

Searches whenever a line arrives, and answers with templates and errors.
"""

import sys

import numpy as np

from facejax.search.index import FaceIndex
from tests.search import small_index


def main(path):
  index = FaceIndex.open(path)
  print('ready', flush=True)
  for line in sys.stdin:
    index.refresh()
    count = len(index)
    rows = small_index.unit_vectors(6, seed=int(line))
    found = index.search(small_index.probes(rows), top_k=1, method='float')
    exact = bool((np.abs(found.scores - 1) < 1e-5).all())
    print(count, exact, flush=True)


if __name__ == '__main__':
  main(sys.argv[1])
