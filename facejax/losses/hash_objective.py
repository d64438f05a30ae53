"""What a recipe asks of a hash layer, bound: what training steps run.

References:
  spec 4.3 (what the classifier sees) and 4.5 (losses).
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.losses import hashing
from facejax.losses.margin_constants import is_number
from facejax.losses.targets import Step
from facejax.ops.norms import l2_normalize, squared_norm

CHOICES = {
  'classifier': ('spliced', 'hash'),
  'activation': ('tanh', 'sign'),
  'quantization': (*hashing.QUANTIZATIONS, 'none'),
}
_WEIGHTS = ('quantization_weight', 'balance_weight', 'independence_weight')


@dataclasses.dataclass(frozen=True)
class HashObjective:
  """Relaxation, classifier input and losses of a hash layer; plain values.

  Made by `make_hash_objective`, which checks what is given. F is the embedding
  [B, D], u the logits [B, L], h the relaxed code.

  Attributes:
    classifier: what it sees, 'spliced': (F, h) side by side, values as they
      are; or 'hash': h alone.
    activation: 'tanh', h = tanh(beta u); or 'sign' with the gradient of the
      identity.
    beta: of tanh, at the first step.
    beta_final: of tanh, at the last step, see `hashing.continuation`; None
      leaves it as it is.
    quantization: 'l2', 'l1' or 'none', of h; of u itself where h is a sign,
      whose distance from +-1 is none.
    quantization_weight: factor of that loss.
    balance_weight: factor of `hashing.bit_balance`.
    independence_weight: factor of `hashing.bit_independence`.
    normalize_parts: whether F and h are spliced at unit length each, an
      ablation.
    total_steps: over which beta rises.
  """

  classifier: str = 'spliced'
  activation: str = 'tanh'
  beta: float = 1.0
  beta_final: float | None = None
  quantization: str = 'l2'
  quantization_weight: float = 0.1
  balance_weight: float = 0.0
  independence_weight: float = 0.0
  normalize_parts: bool = False
  total_steps: int = 1

  def beta_at(self, step: Step) -> Float[Array, '']:
    """The beta of a step, see `hashing.continuation`."""
    return hashing.continuation(
      step,
      start=self.beta,
      end=self.beta if self.beta_final is None else self.beta_final,
      total_steps=self.total_steps,
    )

  def relax(
    self, logits: Float[Array, 'B L'], step: Step
  ) -> Float[Array, 'B L']:
    """The relaxed code h, float32.

    Args:
      logits: u.
      step: updates done.
    """
    if self.activation == 'sign':
      return hashing.sign_code(logits)
    return hashing.tanh_code(logits, self.beta_at(step))

  def classifier_size(self, embedding_size: int, bits: int) -> int:
    """Length of what the classifier sees, of D and L."""
    return bits + (embedding_size if self.classifier == 'spliced' else 0)

  def classifier_input(
    self,
    embedding: Float[Array, 'B D'],
    logits: Float[Array, 'B L'],
    step: Step,
  ) -> Float[Array, 'B O']:
    """What the classifier sees, float32 [B, `classifier_size`].

    Args:
      embedding: F, raw.
      logits: u.
      step: updates done.
    """
    code = self.relax(logits, step)
    if self.classifier == 'hash':
      return code
    parts = [embedding.astype(jnp.float32), code]
    if self.normalize_parts:
      parts = [l2_normalize(part) for part in parts]
    return jnp.concatenate(parts, axis=-1)

  def loss(
    self,
    embedding: Float[Array, 'B D'],
    logits: Float[Array, 'B L'],
    step: Step,
  ) -> tuple[Float[Array, ''], dict[str, Float[Array, '']]]:
    """The weighted sum of the hash losses, to be added to classification.

    Args:
      embedding: F, raw; for its length alone.
      logits: u.
      step: updates done.

    Returns:
      The sum, and for logs: each loss without its weight, 'hash_quantization'
      (the L2 form where there is none), 'hash_balance', 'hash_independence';
      the mean lengths of both parts before any scaling, 'feature_norm' and
      'hash_norm'; of tanh 'hash_beta'. Balance and independence are of these B
      faces: in parts of a batch, of each part.
    """
    code = self.relax(logits, step)
    quantize = hashing.QUANTIZATIONS.get(
      self.quantization, hashing.l2_quantization
    )
    is_sign = self.activation == 'sign'
    losses = {
      'quantization': quantize(logits.astype(jnp.float32) if is_sign else code),
      'balance': hashing.bit_balance(code),
      'independence': hashing.bit_independence(code),
    }
    total = sum(
      weight * losses[name] for name, weight in self._weights().items()
    )
    metrics = {f'hash_{name}': value for name, value in losses.items()}
    for name, part in (('feature', embedding), ('hash', code)):
      norms = jnp.sqrt(squared_norm(part.astype(jnp.float32)))
      metrics[f'{name}_norm'] = norms.mean()
    if not is_sign:
      metrics['hash_beta'] = self.beta_at(step)
    return jnp.asarray(total, jnp.float32), metrics

  def _weights(self) -> dict[str, float]:
    """Factors of the losses by name, those of 0 left out."""
    weights = {
      name.removesuffix('_weight'): getattr(self, name) for name in _WEIGHTS
    }
    if self.quantization == 'none':
      del weights['quantization']
    return {name: weight for name, weight in weights.items() if weight}


def _check_numbers(settings: dict[str, Any]) -> None:
  """Raises UsageError for weights and betas that cannot be."""
  for name in _WEIGHTS:
    value = settings[name]
    if not is_number(value) or not 0 <= value < math.inf:
      raise UsageError(f'hash.{name}={value!r}: use 0 or more')
  beta, final = settings['beta'], settings['beta_final']
  for name, value in (('beta', beta), ('beta_final', final)):
    if value is None and name == 'beta_final':
      continue
    if not is_number(value) or not 0 < value < math.inf:
      raise UsageError(f'hash.{name}={value!r}: use a number above 0')
  if final is not None and final < beta:
    raise UsageError(
      f'hash.beta_final={final!r}: beta only rises, use {beta!r} or more'
    )
  if settings['activation'] == 'sign' and (beta != 1 or final is not None):
    name = 'beta' if beta != 1 else 'beta_final'
    raise UsageError(
      f'hash.{name}={settings[name]!r}: a sign is the same for every beta, '
      "leave it out or use hash.activation='tanh'"
    )


def _check_choices(settings: dict[str, Any]) -> None:
  """Raises UsageError for words and flags that cannot be."""
  for name, choices in CHOICES.items():
    if settings[name] not in choices:
      raise UsageError(
        f'hash.{name}={settings[name]!r}: use {" or ".join(choices)}'
      )
  parts = settings['normalize_parts']
  if not isinstance(parts, bool):
    raise UsageError(f'hash.normalize_parts={parts!r}: use True or False')
  if parts and settings['classifier'] == 'hash':
    raise UsageError(
      'hash.normalize_parts=True: only what is spliced has parts; use it with '
      "hash.classifier='spliced'"
    )


def make_hash_objective(*, total_steps: int = 1, **given: Any) -> HashObjective:
  """Binds the settings of a hash layer and checks them.

  Args:
    total_steps: of the run, for the rise of beta.
    **given: other attributes of `HashObjective`; the rest are its defaults.

  Returns:
    The objective.

  Raises:
    UsageError: a setting that there is not, of another type or out of range,
      or two that exclude each other.
  """
  defaults = {
    field.name: field.default
    for field in dataclasses.fields(HashObjective)
    if field.name != 'total_steps'
  }
  for name in given.keys() - defaults.keys():
    raise UsageError(f'hash.{name}: there is none; use {", ".join(defaults)}')
  settings = defaults | given
  _check_choices(settings)
  _check_numbers(settings)
  numbers = {
    name: float(settings[name])
    for name in (*_WEIGHTS, 'beta', 'beta_final')
    if settings[name] is not None
  }
  return HashObjective(**(settings | numbers), total_steps=total_steps)
