"""A process that adds to an index without end, to be killed.

python -m tests.search.writer PATH START
"""

import sys

from facejax.search.index import FaceIndex
from tests.search import small_index


def main(path, start):
  with FaceIndex.open(path, writable=True) as index:
    while True:
      small_index.add(index, 6, start=start, seed=start)
      start += 6
      # Whoever reads this line may count on what it says.
      print(start, flush=True)


if __name__ == '__main__':
  main(sys.argv[1], int(sys.argv[2]))
