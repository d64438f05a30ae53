"""A hash layer trained on the embeddings of a finished model.

Codes are to order faces as the embeddings do, those of people never seen above
all. A few hundred training people are few beside a hundred dimensions: what is
fitted to them, identities or principal components, draws the bits to them and
away from everybody else (ITQ finds the people it was fitted to far better than
others). So the faces of a step are those of people who do not exist, drawn from
the distribution of people and of their images (`hash_batches`), and the loss
compares rankings and knows no identities (`hash_ranking`).

It is done twice: on a part of the people while the others, held out, judge each
round; then on all of them, for as many rounds as were best.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from facejax import files
from facejax.array_typing import Array, Float
from facejax.ops.linear_hash import (
  LinearHash,
  iterative_quantization,
  random_hash,
)
from facejax.training.hash_batches import HashBatches, hold_out, make_batches
from facejax.training.hash_features import HashFeatures
from facejax.training.hash_ranking import ranking_loss
from facejax.training.hash_retrieval import retrieval
from facejax.training.hash_settings import HashTraining

# Of those that judge a round: a second of products at 512 bits.
_MAX_HELD_OUT_FACES = 4096


class TrainedHash(NamedTuple):
  """What training gives.

  Attributes:
    layer: trained on all people.
    losses: float32, of each step of that training.
    best_round: the last one of it; 0 if the start was best.
    held_out: retrieval among the people held out, by the start and by the layer
      after each round, both without them.
    num_held_out: these people.
  """

  layer: LinearHash
  losses: Float[np.ndarray, ' steps']
  best_round: int
  held_out: tuple[dict[str, float], ...]
  num_held_out: int


def train_hash(
  features: HashFeatures, num_bits: int, settings: HashTraining
) -> TrainedHash:
  """Trains a hash layer; shows a progress bar.

  Args:
    features: of the training faces.
    num_bits: L.
    settings: see there.

  Raises:
    UsageError: settings that mean nothing.
    DataError: too few people, or images of them.
  """
  settings.check()
  settings = settings.for_layer(features.plain.shape[1], num_bits)
  training, held = hold_out(
    features,
    settings.held_out,
    max_faces=_MAX_HELD_OUT_FACES,
    seed=settings.seed,
  )
  judged = tuple(
    retrieval(held.plain, layer.logits(held.plain), held.labels)
    for layer, _ in _shown(training, num_bits, settings, settings.rounds)
  )
  best_round = int(np.argmax([found['hamming'] for found in judged]))
  layers, losses = zip(
    *_shown(features, num_bits, settings, best_round), strict=True
  )
  return TrainedHash(
    layers[-1],
    np.concatenate(losses),
    best_round,
    judged,
    held.num_identities,
  )


def _shown(
  features: HashFeatures, num_bits: int, settings: HashTraining, rounds: int
) -> Iterator[tuple[LinearHash, Float[np.ndarray, ' steps']]]:
  """`_train` for some of its rounds, with a progress bar."""
  found = _train(features, num_bits, settings)
  yield from files.progress(
    itertools.islice(found, 1 + rounds),
    desc='training',
    unit='round',
    total=1 + rounds,
  )


def _train(
  features: HashFeatures, num_bits: int, settings: HashTraining
) -> Iterator[tuple[LinearHash, Float[np.ndarray, ' steps']]]:
  """The start, then the layer after each round, with its losses."""
  batches = make_batches(features, settings.shrinkage)
  start = _start(features, num_bits, settings)
  yield start, np.zeros(0, np.float32)
  state = _initial_state(start, settings)
  ends = np.linspace(0, settings.steps, settings.rounds + 1).round().astype(int)
  for steps in np.diff(ends):
    state, losses = _train_round(
      state, batches, settings=settings, steps=int(steps)
    )
    average = jax.device_get(state.average)
    layer = LinearHash(average['kernel'], average['bias'])
    yield layer, np.asarray(losses)


def _start(
  features: HashFeatures, num_bits: int, settings: HashTraining
) -> LinearHash:
  """The layer that training begins with."""
  if settings.start == 'itq':
    return iterative_quantization(
      features.both(), num_bits, seed=settings.seed
    )[0]
  size = features.plain.shape[1]
  return random_hash(size, num_bits, seed=settings.seed)


class _State(NamedTuple):
  """What a step changes; `average` is what is kept of the layer."""

  step: Any
  params: Any
  opt_state: Any
  average: Any


def _optimizer(settings: HashTraining) -> optax.GradientTransformation:
  return optax.adam(
    optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
  )


def _initial_state(start: LinearHash, settings: HashTraining) -> _State:
  # Logits of about unit variance are where tanh has its slope.
  params = {
    'kernel': jnp.asarray(start.kernel * math.sqrt(len(start.kernel))),
    'bias': jnp.asarray(start.bias * math.sqrt(len(start.kernel))),
  }
  opt_state = _optimizer(settings).init(params)
  return _State(jnp.zeros((), jnp.int32), params, opt_state, params)


@functools.partial(jax.jit, static_argnames=('settings', 'steps'))
def _train_round(
  state: _State, batches: HashBatches, *, settings: HashTraining, steps: int
) -> tuple[_State, Float[Array, ' steps']]:
  """The next `steps` updates, and their losses."""
  tx = _optimizer(settings)

  def loss_of(params: Any, probes: Array, gallery: Array) -> Array:
    probe_logits, gallery_logits = (
      faces @ params['kernel'] + params['bias'][None, :]
      for faces in (probes, gallery)
    )
    return ranking_loss(
      (probe_logits, gallery_logits),
      probes @ gallery.T,
      temperature=settings.temperature,
      asymmetric_weight=settings.asymmetric_weight,
    )

  def update(state: _State, _: None) -> tuple[_State, Array]:
    key = jax.random.fold_in(jax.random.key(settings.seed), state.step)
    faces = batches.draw(key, settings.people)
    loss, grads = jax.value_and_grad(loss_of)(state.params, *faces)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # It covers few steps at first, so that the start is soon forgotten.
    decay = jnp.minimum(
      settings.averaging, (1.0 + state.step) / (10.0 + state.step)
    )
    average = optax.incremental_update(params, state.average, 1.0 - decay)
    return _State(state.step + 1, params, opt_state, average), loss

  return lax.scan(update, state, length=steps)
