"""Finds a hash layer for finished embeddings, by one of four methods."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Float
from facejax.errors import UsageError
from facejax.losses import hashing
from facejax.ops.hamming import BITS_PER_BYTE
from facejax.ops.linear_hash import (
  LinearHash,
  iterative_quantization,
  random_hash,
  sign_hash,
)
from facejax.training.hash_features import HashFeatures
from facejax.training.hash_settings import HashTraining
from facejax.training.hash_training import train_hash

METHODS = ('trained', 'itq', 'random', 'sign')
NEED_FACES = ('trained', 'itq')


class FittedHash(NamedTuple):
  """A hash layer and how it was found.

  Attributes:
    layer: sees embeddings of unit norm.
    report: JSON values: seed, settings, losses, statistics of the bits.
  """

  layer: LinearHash
  report: dict[str, Any]


def check_hash(size: int, num_bits: int, method: str) -> None:
  """Refuses a layer that cannot be.

  Args:
    size: D, of the embedding.
    num_bits: L.
    method: one of `METHODS`.

  Raises:
    UsageError: says what to do.
  """
  if method not in METHODS:
    raise UsageError(f'--method={method}: use one of {", ".join(METHODS)}')
  if num_bits < 1 or num_bits % BITS_PER_BYTE:
    raise UsageError(
      f'--hash_bits={num_bits}: use a positive multiple of 8, since codes are '
      'stored in bytes'
    )
  if method == 'sign' and num_bits != size:
    raise UsageError(
      f'--method=sign gives a bit for each of the {size} elements of the '
      f'embedding: --hash_bits={num_bits} needs another method'
    )


def check_faces(method: str, given: bool) -> None:
  """Raises UsageError for a method that lacks its training faces."""
  if method in NEED_FACES and not given:
    raise UsageError(f'--method={method} is fitted to faces: give --data')


def fit_hash(
  method: str,
  num_bits: int,
  *,
  size: int,
  features: HashFeatures | None = None,
  settings: HashTraining | None = None,
  iterations: int = 50,
  seed: int = 0,
) -> FittedHash:
  """Finds a hash layer for embeddings of unit norm.

  Args:
    method: 'trained' (`hash_training`), 'itq', 'random' or 'sign'
      (`ops.linear_hash`).
    num_bits: L.
    size: D.
    features: of the training faces; the first two methods need them.
    settings: of 'trained'; its own seed counts.
    iterations: of 'itq'.
    seed: of 'itq' and 'random'.

  Raises:
    UsageError: what cannot be, or faces are missing.
    DataError: the faces do not do.
  """
  check_hash(size, num_bits, method)
  check_faces(method, features is not None)
  report: dict[str, Any] = {'method': method}
  if method == 'sign':
    layer = sign_hash(size)
  elif method == 'random':
    layer = random_hash(size, num_bits, seed=seed)
    report |= {'seed': seed}
  elif method == 'itq':
    layer, losses = iterative_quantization(
      features.both(), num_bits, iterations=iterations, seed=seed
    )
    report |= {
      'seed': seed,
      'iterations': iterations,
      'loss_first': float(losses[:, 0].mean()),
      'loss_last': float(losses[:, -1].mean()),
    }
  else:
    settings = (settings or HashTraining()).for_layer(size, num_bits)
    layer, found = _train(features, num_bits, settings)
    report |= found
  if features is not None:
    report['bits'] = bit_statistics(layer.logits(features.plain))
  return FittedHash(layer, report)


def _train(
  features: HashFeatures, num_bits: int, settings: HashTraining
) -> tuple[LinearHash, dict[str, Any]]:
  """A trained layer and what is reported of it."""
  found = train_hash(features, num_bits, settings)
  part = max(1, len(found.losses) // 20)  # one batch's loss says little
  ends = (found.losses[:part], found.losses[-part:])
  first, last = (float(x.mean()) if len(x) else None for x in ends)
  return found.layer, {
    'settings': dataclasses.asdict(settings),
    'loss_first': first,
    'loss_last': last,
    'best_round': found.best_round,
    'held_out': {
      'num_identities': found.num_held_out,
      'by_round': list(found.held_out),
    },
  }


def bit_statistics(logits: Float[np.ndarray, 'N L']) -> dict[str, float]:
  """Balance, entropy and correlation, see `losses.hashing.bit_statistics`."""
  found = hashing.bit_statistics(hashing.bit_moments(jnp.asarray(logits)))
  return {name: float(value) for name, value in found.items()}
