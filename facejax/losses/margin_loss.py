"""A margin loss with its constants bound: what heads and steps run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from facejax.array_typing import Array, Float, Int
from facejax.errors import UsageError
from facejax.losses.adaptive_margin import FIRST_NORM_MEAN, FIRST_NORM_STD
from facejax.losses.margin_constants import (
  check_constants,
  default_constants,
  is_number,
)
from facejax.losses.margins import (
  MARGINS,
  a_softmax_lambda,
  filter_above,
  pool_sub_centers,
  update_norm_statistics,
)
from facejax.losses.targets import Params, Step

# Constants that the warm-up raises, with what they are without any margin.
_RAISED = {
  **dict.fromkeys(
    ('am_softmax', 'cosface', 'arcface', 'adaface', 'sub_center_arcface'),
    {'margin': 0.0},
  ),
  'combined_margin': {'m1': 1.0, 'm2': 0.0, 'm3': 0.0},
}


@dataclasses.dataclass(frozen=True)
class MarginLoss:
  """A margin function with its constants; hashable, of plain values.

  Made by `make_margin_loss`, which checks what is given.

  Attributes:
    name: a key of `MARGINS`.
    constants: (name, value) of those given, sorted; the rest are the
      function's defaults.
    warmup_steps: steps over which the margin rises from none; 0 for at once.
    filter_threshold: see `filter_above`; None filters nothing.
  """

  name: str
  constants: tuple[tuple[str, Any], ...] = ()
  warmup_steps: int = 0
  filter_threshold: float | None = None

  def logits(
    self,
    cos_theta: Float[Array, 'B KC'],
    labels: Int[Array, ' B'],
    *,
    norms: Float[Array, ' B'],
    step: Step,
    params: Params,
  ) -> Float[Array, 'B K']:
    """Logits of a step.

    Args:
      cos_theta: cosine of embedding and class weights; C columns an identity.
      labels: target identity of each row, or -1 for none.
      norms: lengths of the raw embeddings.
      step: updates done.
      params: what `init_params` and `init_stats` began; 'weight_norms' [K], the
        lengths of the class weights, unless `normalizes_weights`.

    Returns:
      float32 [B, K].
    """
    constants = self._constants_at(step)
    if self.filter_threshold is not None:
      # Of an identity's sub-centres only the nearest counts, here as there.
      if self.sub_centers > 1:
        cos_theta = pool_sub_centers(cos_theta, self.sub_centers)
        constants['sub_centers'] = 1
      cos_theta = filter_above(cos_theta, labels, self.filter_threshold)
    return MARGINS[self.name](
      cos_theta, labels, norms=norms, step=step, params=params, **constants
    )

  @property
  def sub_centers(self) -> int:
    """C, rows of class weights an identity."""
    return self._all_constants().get('sub_centers', 1)

  @property
  def per_identity(self) -> tuple[str, ...]:
    """Those of `init_params` that have one value an identity."""
    return ('bias',) if self.name == 'softmax' else ()

  @property
  def normalizes_weights(self) -> bool:
    """Whether the lengths of the class weights mean nothing."""
    return self.name != 'softmax'

  @property
  def normalizes_embeddings(self) -> bool:
    """Whether the lengths of the embeddings weigh nothing in the logits."""
    return self.name not in ('softmax', 'a_softmax')

  def init_params(self, num_identities: int) -> dict[str, Float[Array, '...']]:
    """First values of what is learned beside the class weights, float32.

    Returns:
      softmax: 'bias' [K], zero. normface: 'scale' [], the constant. Others: {}.
    """
    if self.name == 'softmax':
      return {'bias': jnp.zeros(num_identities, jnp.float32)}
    if self.name == 'normface':
      return {'scale': jnp.float32(self._all_constants()['scale'])}
    return {}

  def init_stats(self) -> dict[str, Float[Array, '']]:
    """First values of what is counted and not learned; of adaface alone."""
    if self.name != 'adaface':
      return {}
    return {
      'norm_mean': jnp.float32(FIRST_NORM_MEAN),
      'norm_std': jnp.float32(FIRST_NORM_STD),
    }

  def update_stats(
    self, stats: Mapping[str, Float[Array, '']], norms: Float[Array, ' B']
  ) -> dict[str, Float[Array, '']]:
    """The statistics after a batch; the authors update before the loss.

    Args:
      stats: as `init_stats` gives them.
      norms: lengths of the raw embeddings of the whole batch.
    """
    if self.name != 'adaface':
      return {}
    return update_norm_statistics(stats, norms)

  def settings(self, step: Step) -> dict[str, Float[Array, '']]:
    """What may change with the step, float32, for logs.

    Returns:
      The margin after warm-up: 'margin', or 'm1', 'm2', 'm3' of
      combined_margin; 'lambda' of a_softmax; {} of softmax and normface.
    """
    constants = self._constants_at(step)
    if self.name == 'a_softmax':
      keys = {'base': 'base', 'gamma': 'gamma', 'power': 'power'}
      keys['minimum'] = 'min'
      values = {to: constants[f'lambda_{of}'] for to, of in keys.items()}
      return {'lambda': a_softmax_lambda(step, **values)}
    raised = _RAISED.get(self.name, {})
    return {key: jnp.asarray(constants[key], jnp.float32) for key in raised}

  def _all_constants(self):
    """Given constants over the defaults."""
    return default_constants(self.name) | dict(self.constants)

  def _constants_at(self, step):
    """All constants, those of the margin as far as the warm-up has come."""
    constants = self._all_constants()
    if self.warmup_steps:
      share = jnp.asarray(step, jnp.float32) / self.warmup_steps
      share = jnp.clip(share, 0.0, 1.0)
      for key, none in _RAISED[self.name].items():
        constants[key] = none + (constants[key] - none) * share
    return constants


def make_margin_loss(
  name: str,
  *,
  warmup_steps: int = 0,
  filter_threshold: float | int | None = None,
  **constants: Any,
) -> MarginLoss:
  """Binds the constants of a margin loss and checks them.

  Args:
    name: a key of `MARGINS`.
    warmup_steps: steps over which the margin rises linearly from none, w =
      clip(step / warmup_steps, 0, 1): w margin; of combined_margin 1 + w (m1 -
      1), w m2 and w m3.
    filter_threshold: 0 .. 1, cosines of other identities above it become 0.
    **constants: of the function; None means its default.

  Returns:
    The loss.

  Raises:
    UsageError: an unknown name, a constant that the loss does not have, a value
      out of range, a warm-up without a margin to raise.
  """
  if name not in MARGINS:
    raise UsageError(f'loss.name={name!r}: use {", ".join(MARGINS)}')
  checked = check_constants(name, constants)
  if not is_number(warmup_steps, whole=True) or warmup_steps < 0:
    raise UsageError(
      f'loss.warmup_steps={warmup_steps!r}: use a whole number from 0'
    )
  if warmup_steps and name not in _RAISED:
    raise UsageError(
      f'loss.warmup_steps={warmup_steps}: {name} has no margin to raise; use 0'
    )
  if filter_threshold is not None:
    if not is_number(filter_threshold) or not 0 <= filter_threshold <= 1:
      raise UsageError(
        f'loss.filter_threshold={filter_threshold!r}: use 0 to 1, or None'
      )
    filter_threshold = float(filter_threshold)
  return MarginLoss(name, checked, warmup_steps, filter_threshold)
