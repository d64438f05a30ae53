"""What a training step carries on, created where it will live.

Parameters are one tree: the model's own names at the top, and those of the
margin head under 'head', its class weights as 'head/class_weights'. Rules over
names (sharding, decay, freezing, ternary) therefore read the same in training
and in a model directory. Running statistics are divided alike.
"""

from typing import Any

import flax
import jax
import jax.numpy as jnp

from facejax.array_typing import Key, PyTree
from facejax.models.face_net import FaceOutputs
from facejax.parallel import mesh as mesh_lib
from facejax.training.learner import Learner

HEAD = 'head'


@flax.struct.dataclass
class TrainState:
  """All that training needs to continue bit for bit, but for the data.

  Invariants: `opt_state` belongs to `params`; rows of the class weights past
  the number of identities are zero and stay zero.
  """

  step: Any  # int32 [], updates done
  params: Any  # by name; head/class_weights float32 [R, D] or [R, C, D]
  batch_stats: Any  # of every BatchNorm, and of the loss under 'head'
  opt_state: Any
  ema: Any  # moving average of the net's parameters; {} without one


def split_head(tree: PyTree) -> tuple[PyTree, PyTree]:
  """The net's own part of a tree, and the head's ({} if it has none)."""
  net = {name: leaf for name, leaf in tree.items() if name != HEAD}
  return net, tree.get(HEAD, {})


def join_head(net: PyTree, head: PyTree) -> PyTree:
  """Inverse of `split_head`."""
  return {**net, HEAD: head} if head else dict(net)


def classifier_size(learner: Learner, outputs: FaceOutputs) -> int:
  """Length of what the head sees of a net's outputs, values or shapes."""
  size = outputs.embedding.shape[-1]
  if learner.hashing is None:
    return size
  return learner.hashing.classifier_size(size, outputs.logits.shape[-1])


def initial_state(learner: Learner, key: Key) -> TrainState:
  """First values of everything; they do not depend on the mesh."""
  model, head = learner.model, learner.head
  model_key, head_key = jax.random.split(key)
  images = jnp.zeros((1, *model.image_size, model.image_channels), jnp.float32)
  outputs, variables = model.init_with_output(
    model_key, images, False, method='outputs'
  )
  size = classifier_size(learner, outputs)
  params = join_head(variables['params'], head.init(head_key, size))
  net_stats = variables.get('batch_stats', {})
  ema = jax.tree.map(jnp.copy, variables['params'])
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=join_head(net_stats, head.init_stats()),
    opt_state=learner.tx.init(params),
    ema=ema if learner.ema_decay else {},
  )


def abstract_state(learner: Learner) -> tuple[TrainState, TrainState]:
  """Shapes and shardings of a state, without any memory."""
  shapes = jax.eval_shape(
    lambda key: initial_state(learner, key), jax.random.key(0)
  )
  rules = mesh_lib.sharding_rules(learner.head.axes)
  return shapes, mesh_lib.tree_shardings(shapes, learner.mesh, rules)


def create_state(learner: Learner, key: Key) -> tuple[TrainState, TrainState]:
  """Initial state, each leaf created on the devices that will hold it.

  Returns:
    The state, and the tree of its shardings.
  """
  _, shardings = abstract_state(learner)
  create = jax.jit(
    lambda key: initial_state(learner, key), out_shardings=shardings
  )
  return create(key), shardings
