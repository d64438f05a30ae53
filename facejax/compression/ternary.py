"""Which parameters are ternary, and their straight-through values in training.

A rule is (regex over the parameter name, granularity); the first that matches
wins and a parameter that none matches stays float. 'filter' gives every output
its own threshold and scale, 'tensor' one to all; 'float' exempts.

Parameter layout: a `kernel` is [kh, kw, in, out] or [in, out], outputs last,
[kh, kw, 1, C] if depthwise; `class_weights` are [K, D], outputs first.
"""

import re
from collections.abc import Sequence

from facejax import trees
from facejax.array_typing import PyTree
from facejax.errors import UsageError
from facejax.ops import ternary

Rules = Sequence[tuple[str, str]]

GRANULARITIES = ('tensor', 'filter', 'float')
# Axis of the outputs, by the last part of the parameter's name.
_OUTPUT_AXES = {'kernel': -1, 'class_weights': 0}


def output_axis(name: str) -> int:
  """The axis of a parameter's outputs, 0 or -1.

  Raises:
    UsageError: the parameter is neither a kernel nor class weights.
  """
  kind = name.rsplit('/', 1)[-1]
  if kind not in _OUTPUT_AXES:
    raise UsageError(
      f'ternary rules: {name!r} cannot be ternary, only parameters named '
      + ' or '.join(_OUTPUT_AXES)
    )
  return _OUTPUT_AXES[kind]


def reduced_axes(
  ndim: int, granularity: str, output_axis: int
) -> tuple[int, ...] | None:
  """The axes that share one threshold and scale; None for all of them."""
  if granularity == 'tensor':
    return None
  return tuple(axis for axis in range(ndim) if axis != output_axis % ndim)


def granularities(params: PyTree, rules: Rules) -> dict[str, str]:
  """The granularity of every parameter that the rules make ternary, by name.

  Raises:
    UsageError: an unknown granularity, or a rule selects a parameter that is
      neither a kernel nor class weights.
  """
  for pattern, granularity in rules:
    if granularity not in GRANULARITIES:
      raise UsageError(
        f'ternary rules: {pattern!r} asks for {granularity!r}; use one of '
        + ', '.join(GRANULARITIES)
      )
  selected = {}
  for name in trees.named_leaves(params):
    granularity = trees.first_match(rules, name, 'float')
    if granularity != 'float':
      output_axis(name)
      selected[name] = granularity
  return selected


def default_rules(params: PyTree, granularity: str = 'filter') -> Rules:
  """Every kernel ternary, except depthwise ones, which stay float.

  Depthwise kernels are few weights and lose most (spec 10.3). They are told
  by their shape [kh, kw, 1, C]; in the rules, numbers in their names become
  patterns, so that repeated blocks share one rule.

  Args:
    params: float parameters.
    granularity: 'filter' or 'tensor'.
  """
  depthwise = {
    re.sub(r'\d+', r'\\d+', re.escape(name)): 'float'
    for name, leaf in trees.named_leaves(params).items()
    if name.endswith('kernel') and leaf.ndim == 4 and leaf.shape[2] == 1
  }
  return (*depthwise.items(), (r'(.*/)?kernel', granularity))


def check_ternary_rules(params: PyTree, rules: Rules) -> None:
  """Refuses rules that select nothing, or what cannot be ternary.

  Call it once on the whole parameter tree. The functions that apply rules
  accept ones without a match, since they also see parts of a tree.

  Raises:
    UsageError: names the rule or the parameter.
  """
  trees.check_rules(rules, params, 'ternary rules')
  if not granularities(params, rules):
    raise UsageError('ternary rules: they leave every parameter float')


def ternarize_tree(params: PyTree, rules: Rules) -> PyTree:
  """Parameters with the selected ones replaced by alpha * t.

  Gradients pass straight through to the float masters. For use inside the
  jitted training step.

  Args:
    params: float parameters.
    rules: (regex over the name, granularity).

  Returns:
    A tree of the same structure, shapes and dtypes.

  Raises:
    UsageError: as in `granularities`.
  """
  selected = granularities(params, rules)

  def ternarize(name, leaf):
    if name not in selected:
      return leaf
    axes = reduced_axes(leaf.ndim, selected[name], output_axis(name))
    return ternary.ternary_ste(leaf, axes)

  return trees.map_named(ternarize, params)
