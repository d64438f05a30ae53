"""Templates: one embedding of the many images that show one person (IJB)."""

import dataclasses
import re
from typing import Any

import numpy as np
import scipy.sparse

from facejax.array_typing import Float, Int
from facejax.errors import UsageError
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.modes import check_embeddings

_BLOCK = 1 << 14  # images pooled at a time, which bounds the memory


@dataclasses.dataclass(frozen=True)
class TemplateRule:
  """How the images of a template are weighted, in InsightFace's letters.

  The letters are those of InsightFace's ijb_11.py, ijb_1n.py and
  onnx_ijbc.py. Its ijb_evals.py (and Keras_insightface, where it comes from)
  normalises where N is *1*: N0D1F1 there is N1D1F1 here.

  Attributes:
    keep_norm: N1, embeddings keep their norm, so that faces which the model is
      surer of count more; N0, they are normalised first.
    detector_score: D1, embeddings are multiplied by the detector's score,
      after any normalisation; D0, not.
    mirror: F1, the raw embeddings of image and mirror image are added, before
      any normalisation; F0, the image alone. (Comments in ijb_11.py call the
      sum F2 and keep F1 for a concatenation that it does not compute.)
  """

  keep_norm: bool = True
  detector_score: bool = True
  mirror: bool = True

  @classmethod
  def parse(cls, name: str) -> 'TemplateRule':
    """The rule of a name such as 'N1D1F1'.

    Raises:
      UsageError: it is none.
    """
    found = re.fullmatch('N([01])D([01])F([01])', name)
    if found is None:
      raise UsageError(
        f'template {name!r}: use N0 or N1 (norm kept), D0 or D1 (times '
        'detector score), F0 or F1 (plus mirror image), as in N1D1F1'
      )
    return cls(*(digit == '1' for digit in found.groups()))

  @property
  def name(self) -> str:
    """'N1D1F1' and its kin."""
    return f'N{self.keep_norm:d}D{self.detector_score:d}F{self.mirror:d}'

  @property
  def ijb_evals_name(self) -> str:
    """What ijb_evals.py calls this rule: its N says the opposite."""
    return dataclasses.replace(self, keep_norm=not self.keep_norm).name

  def to_json(self) -> dict[str, Any]:
    """JSON values that say how templates were made."""
    return {
      'template': self.name,
      'template_in_ijb_evals': self.ijb_evals_name,
      'embedding_norm': 'kept' if self.keep_norm else 'removed',
      'detector_score': self.detector_score,
      'mirror_image': self.mirror,
    }


def group_counts(
  templates: Int[np.ndarray, ' N'], media: Int[np.ndarray, ' N']
) -> Int[np.ndarray, ' N']:
  """Images that share both template and medium with each image."""
  _, media = np.unique(media, return_inverse=True)
  keys = templates.astype(np.int64) * (media.max(initial=0) + 1) + media
  _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
  return counts[inverse]


def _features(
  embeddings: Embeddings, rule: TemplateRule, block: slice
) -> Float[np.ndarray, 'B D']:
  """Embeddings of some images by the letters N and F, float64."""
  features = np.asarray(embeddings.plain[block], np.float64)
  if rule.mirror:
    features = features + embeddings.flip[block]
  check_embeddings(features, embeddings.names[block])
  if rule.keep_norm:
    return features
  norms = np.linalg.norm(features, axis=1, keepdims=True)
  return features / np.where(norms > 0, norms, 1)


def make_templates(
  embeddings: Embeddings,
  templates: Int[np.ndarray, ' N'],
  media: Int[np.ndarray, ' N'],
  detector_scores: Float[np.ndarray, ' N'],
  rule: TemplateRule,
) -> tuple[Int[np.ndarray, ' T'], Float[np.ndarray, 'T D']]:
  """Media-averaged templates.

  A video of many frames counts as much as one photo: with x_i the weighted
  embedding of an image, a template is

    normalised(sum over its media of mean over the medium's images of x_i),

  which is a weighted sum over images, by a sparse matrix.

  Args:
    embeddings: raw, of N images; `flip` is needed by rules with F1.
    templates: int [N], the number of an image's template.
    media: int [N], the number of an image's medium.
    detector_scores: float [N].
    rule: N, D and F.

  Returns:
    Numbers of the T templates, rising, and float32 [T, D], of unit norm; a
    template of zeros stays zero and is like nothing.

  Raises:
    DataError: an embedding is not finite; names the image.
    UsageError: the rule needs mirror images and there are none.

  References:
    Cao et al., VGGFace2, 2017, section V; InsightFace, ijb_11.py.
  """
  if rule.mirror and embeddings.flip is None:
    raise UsageError(
      f'template {rule.name} needs embeddings of the mirrored images: use '
      f'--template={dataclasses.replace(rule, mirror=False).name} --mode=plain'
    )
  numbers, place = np.unique(templates, return_inverse=True)
  weights = 1 / group_counts(place, media)
  if rule.detector_score:
    weights = weights * detector_scores
  pooled = np.zeros((len(numbers), embeddings.plain.shape[1]))
  for start in range(0, len(place), _BLOCK):
    block = slice(start, start + _BLOCK)
    rows, row = np.unique(place[block], return_inverse=True)
    pooling = scipy.sparse.csr_array(
      (weights[block], (row, np.arange(len(row)))), shape=(len(rows), len(row))
    )
    pooled[rows] += pooling @ _features(embeddings, rule, block)
  norms = np.linalg.norm(pooled, axis=1, keepdims=True)
  pooled /= np.where(norms > 0, norms, 1)
  return numbers.astype(np.int64), pooled.astype(np.float32)
