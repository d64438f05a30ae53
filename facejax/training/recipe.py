"""From a config to a learner: what is trained and how, without data."""

import dataclasses
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from facejax import files, models, trees
from facejax.array_typing import PyTree
from facejax.compression import ternary
from facejax.data.preprocessing import Preprocessing
from facejax.errors import UsageError
from facejax.losses.hash_objective import HashObjective, make_hash_objective
from facejax.losses.margin_constants import default_constants
from facejax.losses.margin_loss import MarginLoss, make_margin_loss
from facejax.losses.margins import MARGINS
from facejax.parallel.head import MarginHead
from facejax.training import optimizer
from facejax.training.learner import Learner, TernarySchedule
from facejax.training.state import abstract_state, split_head

# By the channels of the model's input.
_COLOR_ORDERS = {1: 'GRAY', 3: 'RGB'}


def make_margin(loss: ConfigDict) -> MarginLoss:
  """The margin loss of a config's `loss`.

  Raises:
    UsageError: an unknown loss, or a constant that it does not have.
  """
  fields = loss.to_dict()
  name, warmup_steps, filter_threshold = (
    fields.pop(key) for key in ('name', 'warmup_steps', 'filter_threshold')
  )
  defaults = default_constants(name) if name in MARGINS else {}
  for key, value in fields.items():
    # A config holds all margins as floats, that of A-Softmax too.
    if type(defaults.get(key)) is int and value == int(value or 0):
      fields[key] = int(value)
  return make_margin_loss(
    name,
    warmup_steps=warmup_steps,
    filter_threshold=filter_threshold,
    **fields,
  )


def make_hashing(config: ConfigDict) -> HashObjective | None:
  """How a config trains the hash layer of its model; None if it has none.

  Raises:
    UsageError: a setting that cannot be, or one for a model without a hash
      layer, which would do nothing.
  """
  settings = config.hash.to_dict()
  hashing = make_hash_objective(total_steps=config.total_steps, **settings)
  if config.model.get('hash_bits', 0):
    return hashing
  plain = make_hash_objective(total_steps=config.total_steps)
  for name, value in settings.items():
    if getattr(hashing, name) != getattr(plain, name):
      raise UsageError(
        f'hash.{name}={value!r}: the model has no hash layer: set '
        'model.hash_bits, such as 128, or leave it out'
      )
  return None


def note_uneven_parts(learner: Learner) -> None:
  """Warns where the length of a part decides what its part is worth.

  A margin that normalises the whole of embedding and code leaves the smaller
  of them little to say (spec 4.5); the metrics tell which that is.
  """
  hashing, margin_loss = learner.hashing, learner.head.margin_loss
  if (
    hashing is not None
    and hashing.classifier == 'spliced'
    and not hashing.normalize_parts
    and margin_loss.normalizes_embeddings
    and jax.process_index() == 0
  ):
    files.note(
      f'warning: {margin_loss.name} normalises embedding and code together, so '
      'the longer of them outweighs the other: compare feature_norm and '
      'hash_norm in metrics.jsonl, or set hash.normalize_parts'
    )


def make_head(
  config: ConfigDict, num_identities: int, mesh: Mesh
) -> MarginHead:
  """The head of a config for so many identities."""
  return MarginHead(
    make_margin(config.loss),
    num_identities,
    mesh,
    axes=tuple(config.head.axes),
    sample_rate=config.head.sample_rate,
    dense_momentum=config.head.dense_momentum,
    initializer=config.head.initializer,
  )


def _ternary_schedule(config: ConfigDict, net: PyTree) -> Any:
  """The ternary schedule of a config, its rules checked; None without one."""
  if config.ternary.from_step < 0:
    return None
  rules = tuple(tuple(rule) for rule in config.ternary.rules)
  ternary.check_ternary_rules(net, rules)
  return TernarySchedule(rules, config.ternary.from_step)


def make_learner(
  config: ConfigDict, *, num_identities: int, mesh: Mesh, **compute: Any
) -> Learner:
  """Builds and checks what a config trains; nothing is allocated.

  Args:
    config: as `configs/base.py` defines it, checked by `check_config`.
    num_identities: K.
    mesh: the device mesh.
    **compute: fields of the model that say how it is computed, beside the
      config's dtype.

  Raises:
    UsageError: a value that cannot be.
  """
  fields = config.model.to_dict()
  architecture = fields.pop('name')
  model = models.get_model(
    architecture, **fields, **compute, dtype=config.dtype
  )
  schedule = optimizer.make_schedule(
    total_steps=config.total_steps, **config.learning_rate
  )
  frozen = tuple(config.frozen)
  rules = {
    name: tuple(tuple(rule) for rule in config[name])
    for name in ('weight_decay', 'rate_multipliers')
  }
  tx = optimizer.make_optimizer(
    schedule, **rules, frozen=frozen, **config.optimizer
  )
  learner = Learner(
    model,
    make_head(config, num_identities, mesh),
    tx,
    schedule,
    Preprocessing(
      model.image_size,
      tuple(config.data.crop),
      color_order=_COLOR_ORDERS[model.image_channels],
    ),
    frozen=frozen,
    seed=config.seed,
    micro_batches=config.micro_batches,
    remat=config.remat,
    ema_decay=config.ema_decay,
    hashing=make_hashing(config),
  )
  params = abstract_state(learner)[0].params
  for name, rule in rules.items():
    trees.check_rules(rule, params, name)
  trees.check_rules([(f, 0) for f in frozen], params, 'frozen')
  net, _ = split_head(params)
  return dataclasses.replace(
    learner, ternary_schedule=_ternary_schedule(config, net)
  )
