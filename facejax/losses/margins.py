"""Margin losses: from cosines to logits.

Every function has one signature, so that the dense and the class-sharded
cross-entropy run any of them: cosines and labels in, float32 logits out, the
margin applied to the target alone. Cosines may be of half precision. A label
of -1 means "not among these columns" and leaves a row without a target.

What a loss needs beside cosines comes by keyword: `norms`, the lengths of the
raw embeddings; `step`, the updates done; `params`, what is learned or counted
beside the class weights. Losses ignore what they do not need. Constants that
are numbers may be traced scalars: a schedule raises a margin while training.

`margin_loss.MarginLoss` binds the constants and knows what a loss needs.
"""

from collections.abc import Callable

from facejax.array_typing import Array, Float
from facejax.losses.adaptive_margin import adaface, update_norm_statistics
from facejax.losses.angular_margins import (
  arcface,
  combined_margin,
  pool_sub_centers,
  sub_center_arcface,
)
from facejax.losses.cosine_margins import (
  am_softmax,
  cosface,
  normface,
  softmax,
)
from facejax.losses.sphere_margin import a_softmax, a_softmax_lambda
from facejax.losses.targets import filter_above

MarginFunction = Callable[..., Float[Array, 'B K']]

MARGINS: dict[str, MarginFunction] = {
  'softmax': softmax,
  'normface': normface,
  'a_softmax': a_softmax,
  'am_softmax': am_softmax,
  'cosface': cosface,
  'arcface': arcface,
  'combined_margin': combined_margin,
  'adaface': adaface,
  'sub_center_arcface': sub_center_arcface,
}

__all__ = [
  'MARGINS',
  'MarginFunction',
  'a_softmax',
  'a_softmax_lambda',
  'adaface',
  'am_softmax',
  'arcface',
  'combined_margin',
  'cosface',
  'filter_above',
  'normface',
  'pool_sub_centers',
  'softmax',
  'sub_center_arcface',
  'update_norm_statistics',
]
