"""Embeds a prepared set of any size into a file that is mapped, not held."""

import numpy as np

from facejax import files
from facejax.data.records import FaceRecords
from facejax.errors import UsageError
from facejax.evaluation.crops import embed_padded
from facejax.evaluation.record_crops import read_record_crops
from facejax.evaluation.sources import FaceModel
from facejax.files import PathLike
from facejax.inference.embedding import normalize_rows


def embed_records(
  model: FaceModel, records: FaceRecords, path: PathLike, *, batch_size: int
) -> np.memmap:
  """Embeds a prepared set into a file that is mapped, not held.

  Args:
    model: what `facejax.load_model` returned.
    records: N aligned faces.
    path: a local .npy file to make.
    batch_size: images in one call of the model.

  Returns:
    float16 [N, D], unit norm, in the order of the records.

  Raises:
    UsageError: `path` is not local.
  """
  if '://' in str(path):
    raise UsageError(f'{path}: embeddings are mapped, so name a local folder')
  mapped, start = None, 0
  for crops in files.progress(
    read_record_crops(records, np.arange(len(records)), batch_size=batch_size),
    desc='embedding',
    unit='batch',
    total=-(-len(records) // batch_size),
  ):
    rows = normalize_rows(embed_padded(model.embed, crops, batch_size))
    if mapped is None:
      mapped = np.lib.format.open_memmap(
        path, 'w+', np.float16, (len(records), rows.shape[1])
      )
    mapped[start : start + len(rows)] = rows
    start += len(rows)
  mapped.flush()
  return mapped
