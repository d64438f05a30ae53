"""The import against the file's own graph, computed by another program."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from facejax.array_typing import Float
from facejax.errors import DataError
from facejax.files import PathLike
from facejax.inference.embedding import normalize_rows

# What the reference implementation raises for graphs that it cannot run; of
# RuntimeError also for operations that it does not have.
_DEFECTS = (
  ArithmeticError,
  LookupError,
  OSError,
  RuntimeError,
  TypeError,
  ValueError,
)


def embed_by_graph(
  path: PathLike, images: Float[np.ndarray, 'B H W C']
) -> Float[np.ndarray, 'B D']:
  """What an ONNX file itself computes, by ONNX's reference implementation.

  Args:
    path: a local ONNX file.
    images: its input, channels last.

  Returns:
    Unit-norm embeddings: whether a file ends in a normalisation or not does
    not matter.

  Raises:
    DataError: the reference implementation cannot compute it.
  """
  try:
    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    (image,) = [i for i in model.graph.input if i.name not in constants]
    sizes = [d.dim_value for d in image.type.tensor_type.shape.dim]
    if sizes[1:] != list(images.shape[1:]):
      images = images.transpose(0, 3, 1, 2)
    outputs = ReferenceEvaluator(model).run(
      None, {image.name: np.ascontiguousarray(images)}
    )
    embeddings = np.asarray(outputs[0], np.float32)
    return normalize_rows(embeddings.reshape(len(images), -1))
  except _DEFECTS as error:
    reason = ' '.join(str(error).split())[:200]
    raise DataError(
      f"{path}: ONNX's reference implementation cannot compute it ({reason})"
    ) from None
