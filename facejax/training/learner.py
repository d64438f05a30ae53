"""What a training step is made of, as plain values."""

import dataclasses
from typing import Any

import optax

from facejax.compression import ternary
from facejax.data.preprocessing import Preprocessing
from facejax.losses.hash_objective import HashObjective
from facejax.models.face_net import FaceNet
from facejax.parallel.head import MarginHead


@dataclasses.dataclass(frozen=True)
class TernarySchedule:
  """Which parameters of the model are trained ternary, and since when.

  Attributes:
    rules: (regex over the name, granularity), see `compression.ternary`.
    from_step: the first step whose forward pass is ternary.
  """

  rules: ternary.Rules
  from_step: int

  def active(self, steps_done: int) -> bool:
    """Whether at least one of the steps done was ternary."""
    return steps_done > self.from_step


@dataclasses.dataclass(frozen=True)
class Learner:
  """The net, its head, and how both are trained.

  Attributes:
    model: maps normalised images to raw embeddings.
    head: what tells identities apart.
    tx: the optimiser of both.
    schedule: learning rate by step, for the metrics.
    preprocessing: the contract that normalises pixels.
    ternary_schedule: None trains float.
    frozen: regexes of layers whose statistics are held; `tx` holds their
      parameters.
    seed: of dropout and of Partial FC's samples, with the step.
    micro_batches: parts that a batch goes through the net in, one after the
      other; the gradient is that of all.
    remat: whether activations are computed again instead of kept, see
      `nn.rematerialization`.
    ema_decay: of the moving average of the net's parameters, which is then
      what is evaluated and deployed; 0 keeps none.
    hashing: how the model's hash layer is trained; None where it has none.
  """

  model: FaceNet
  head: MarginHead
  tx: optax.GradientTransformation
  schedule: optax.Schedule
  preprocessing: Preprocessing
  ternary_schedule: TernarySchedule | None = None
  frozen: tuple[str, ...] = ()
  seed: int = 0
  micro_batches: int = 1
  remat: bool = False
  ema_decay: float = 0.0
  hashing: HashObjective | None = None

  @property
  def mesh(self) -> Any:
    """The device mesh."""
    return self.head.mesh
