"""What all margins share: columns of targets, and asking for arguments.

A label of -1 means "not among these columns": its row has no target. Only the
target column is computed with its margin, one value a row, so that neither the
forward nor the backward pass keeps more than the cosines.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from facejax.array_typing import Array, Bool, Float, Int

# A margin may be traced: a schedule raises it while training.
Scalar = float | int | Float[Array, '']
Step = int | Int[Array, '']
Params = Mapping[str, Any]


def is_target(
  values: Float[Array, 'B K'], labels: Int[Array, ' B']
) -> Bool[Array, 'B K']:
  """Which column of each row is the target; none for a label of -1."""
  columns = jnp.arange(values.shape[1], dtype=jnp.int32)
  return labels.astype(jnp.int32)[:, None] == columns[None, :]


def pick_targets(
  values: Float[Array, 'B K'], target: Bool[Array, 'B K']
) -> Float[Array, ' B']:
  """The value of each row's target, 0 where it has none.

  A masked sum, since its gradient is elementwise; that of a gather would
  scatter into an array of all identities.
  """
  return jnp.where(target, values, 0.0).sum(1)


def replace_targets(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  psi: Callable[[Float[Array, ' B']], Float[Array, ' B']],
) -> Float[Array, 'B K']:
  """The cosines in float32, each target c replaced by psi(c).

  Args:
    cos_theta: cosines of any floating type.
    labels: target column of each row, or -1 for none.
    psi: from cosines [B] to target values [B], finite in value and slope over
      -1 .. 1; a row without a target gives it 0.

  Returns:
    float32 [B, K].
  """
  cosine = cos_theta.astype(jnp.float32)
  target = is_target(cosine, labels)
  replaced = psi(pick_targets(cosine, target))
  return jnp.where(target, replaced[:, None], cosine)


def filter_above(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  threshold: Scalar,
) -> Float[Array, 'B K']:
  """Interclass filtering: cosines of other identities above t become 0.

  A person whom the data lists under two names pulls their class weights
  apart; such pairs betray themselves by a high cosine (spec 3.6).

  Args:
    cos_theta: cosines, of any floating type, which is kept.
    labels: target column of each row, or -1 for none.
    threshold: t; a cosine of exactly t stays.

  Returns:
    The cosines; no gradient flows to the filtered ones. They are 0 and not
    -inf, so they still weigh exp(0) in the softmax, as in InsightFace.

  References:
    InsightFace, recognition/arcface_torch/losses.py,
    https://github.com/deepinsight/insightface.
  """
  suspicious = (cos_theta > threshold) & ~is_target(cos_theta, labels)
  return jnp.where(suspicious, jnp.zeros_like(cos_theta), cos_theta)


def required(value: Any, *, loss: str, keyword: str) -> Any:
  """The value, unless the caller of a loss left it out.

  Raises:
    ValueError: it is None; at trace time.
  """
  if value is None:
    raise ValueError(f'{loss} needs {keyword}=')
  return value


def required_param(params: Params | None, key: str, *, loss: str) -> Array:
  """params[key] in float32.

  Raises:
    ValueError: it is not there; at trace time.
  """
  if params is None or key not in params:
    raise ValueError(f"{loss} needs params['{key}']")
  return jnp.asarray(params[key], jnp.float32)
