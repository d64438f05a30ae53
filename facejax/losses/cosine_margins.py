"""Losses without a margin, and with one that is subtracted from the cosine."""

import jax.numpy as jnp

from facejax.array_typing import Array, Float, Int
from facejax.losses.targets import (
  Params,
  Scalar,
  Step,
  replace_targets,
  required,
  required_param,
)


def softmax(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
) -> Float[Array, 'B K']:
  """The plain biased classifier, |x| |W_j| cos(theta_j) + b_j = <x, W_j> + b_j.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: unused, all columns are alike.
    norms: |x|, lengths of the raw embeddings.
    step: unused.
    params: 'weight_norms' |W_j| and 'bias' b_j, both [K].

  Returns:
    Logits, float32.

  Raises:
    ValueError: norms, the weights' lengths or the bias are missing.
  """
  del labels, step
  norms = required(norms, loss='softmax', keyword='norms')
  lengths = required_param(params, 'weight_norms', loss='softmax')
  bias = required_param(params, 'bias', loss='softmax')
  products = norms.astype(jnp.float32)[:, None] * lengths[None, :]
  return products * cos_theta.astype(jnp.float32) + bias[None, :]


def normface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 10.0,
) -> Float[Array, 'B K']:
  """Scaled cosines without a margin: s cos(theta_j).

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: unused, all columns are alike.
    norms: unused.
    step: unused.
    params: 'scale' [], the learned s; `scale` where it is not there.
    scale: s that is not learned, or the start of the learned one; 10 is the
      published start.

  Returns:
    Logits, float32.

  References:
    Wang et al., NormFace, 2017, https://arxiv.org/abs/1704.06369.
  """
  del labels, norms, step
  if params is not None and 'scale' in params:
    scale = required_param(params, 'scale', loss='normface')
  return scale * cos_theta.astype(jnp.float32)


def cosface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 64.0,
  margin: Scalar = 0.35,
) -> Float[Array, 'B K']:
  """Additive cosine margin: s (cos(theta_y) - m) for the target.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: unused.
    step: unused.
    params: unused.
    scale: s.
    margin: m, in cosine, 0 .. 1; 0.35 of the paper, where InsightFace's class
      defaults to 0.40.

  Returns:
    Logits, float32.

  References:
    Wang et al., CosFace, 2018, https://arxiv.org/abs/1801.09414, equation 4.
  """
  del norms, step, params
  return scale * replace_targets(cos_theta, labels, lambda c: c - margin)


def am_softmax(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 30.0,
  margin: Scalar = 0.35,
) -> Float[Array, 'B K']:
  """`cosface` with the constants of its other discoverers: s = 30, m = 0.35.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: unused.
    step: unused.
    params: unused.
    scale: s.
    margin: m, in cosine, 0 .. 1.

  Returns:
    Logits, float32.

  References:
    Wang et al., Additive Margin Softmax for Face Verification, 2018,
    https://arxiv.org/abs/1801.05599, section 3.
  """
  del norms, step, params
  return cosface(cos_theta, labels, scale=scale, margin=margin)
