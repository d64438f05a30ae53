"""The faces of a prepared set in batches, decoded ahead of the model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facejax.array_typing import Int, UInt8
from facejax.data.images import decode_image
from facejax.data.records import FaceRecords


def read_record_crops(
  records: FaceRecords, places: Int[np.ndarray, ' N'], *, batch_size: int
) -> Iterator[UInt8[np.ndarray, 'B H W 3']]:
  """Yields crops in the order asked for, the next batch read while one is used.

  Args:
    records: aligned faces.
    places: of the faces in the set.
    batch_size: images in a batch; the last may have fewer.

  Raises:
    DataError: a record is corrupt; names it.
  """

  def read(start: int) -> np.ndarray:
    found = records.__getitems__(places[start : start + batch_size])
    return np.stack([decode_image(r['image'], r['key']) for r in found])

  with ThreadPoolExecutor(2) as pool:
    waiting = None
    for start in range(0, len(places), batch_size):
      batch = pool.submit(read, start)
      if waiting is not None:
        yield waiting.result()
      waiting = batch
    if waiting is not None:
      yield waiting.result()
