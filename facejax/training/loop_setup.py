"""From a config to everything that a run needs, built and checked.

ConfigDicts end here and in `loop`; what is built knows plain values.
"""

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files, models, trees
from facejax.checkpoint.manager import CheckpointStore
from facejax.compression import ternary
from facejax.data.augmentation import Augmentation
from facejax.data.mixture import MixedFaces, open_faces
from facejax.data.pipeline import check_position, make_pipeline, make_position
from facejax.data.preprocessing import Preprocessing
from facejax.data.records import FaceRecords
from facejax.errors import UsageError
from facejax.evaluation.calibration import check_held_out
from facejax.losses.margins import MARGINS
from facejax.parallel import class_sharded
from facejax.parallel import mesh as mesh_lib
from facejax.training import optimizer, step
from facejax.training.evaluators import ScheduledEvaluator, make_evaluators
from facejax.training.export import Exporter
from facejax.training.loop_checks import check_config, data_paths
from facejax.training.state import TrainState, create_state, split_head
from facejax.training.warm_start import warm_start

# Padded to the mesh, which may be another one when a run goes on.
_PADDED = '.*class_weights'
# By the channels of the model's input.
_COLOR_ORDERS = {1: 'GRAY', 3: 'RGB'}


@dataclasses.dataclass
class Run:
  """Everything that a config stands for; `state` moves on as it trains."""

  mesh: Any
  source: FaceRecords | MixedFaces
  preprocessing: Preprocessing
  augmentation: Augmentation
  state: TrainState
  shardings: Any
  compiled_step: Any
  exporter: Exporter
  evaluators: list[ScheduledEvaluator]
  ternary_schedule: step.TernarySchedule | None


def _loss_function(
  loss: ConfigDict, num_identities: int, mesh: Any
) -> Callable:
  """The class-sharded margin loss of a config."""
  if loss.name not in MARGINS:
    raise UsageError(f'loss.name={loss.name!r}: use {", ".join(MARGINS)}')
  margin_function = functools.partial(MARGINS[loss.name], scale=loss.scale)
  has_margin = 'margin' in inspect.signature(margin_function).parameters

  def loss_function(embeddings, labels, class_weights, *, margin):
    bound = {'margin': margin} if has_margin else {}
    return class_sharded.margin_cross_entropy(
      embeddings,
      labels,
      class_weights,
      mesh=mesh,
      num_identities=num_identities,
      margin_function=functools.partial(margin_function, **bound),
    )

  return loss_function


def _ternary_schedule(config: ConfigDict, backbone: Any) -> Any:
  """The ternary schedule of a config, its rules checked; None without one."""
  if config.ternary.from_step < 0:
    return None
  rules = tuple(tuple(rule) for rule in config.ternary.rules)
  ternary.check_ternary_rules(backbone, rules)
  return step.TernarySchedule(rules, config.ternary.from_step)


def _open_held_out(
  config: ConfigDict, source: FaceRecords | MixedFaces
) -> FaceRecords | None:
  """The people to calibrate thresholds on, none of them trained on."""
  if not config.data.calibration:
    return None
  held_out = FaceRecords(config.data.calibration)
  check_held_out(source, held_out)
  return held_out


def build_run(
  config: ConfigDict, *, devices: Sequence[Any] | None = None
) -> Run:
  """Builds and checks all that a config names.

  Args:
    config: as `configs/base.py` defines it.
    devices: to train on; default all of the job.

  Raises:
    UsageError: a value that cannot be; DataError: a data set that cannot be
      read. Nothing has been written yet.
  """
  check_config(config)
  mesh = mesh_lib.make_mesh(
    config.mesh.data, config.mesh.model, devices=devices
  )
  mesh_lib.check_batch(config.data.batch_size, mesh)
  augmentation = Augmentation(**config.data.augmentation)
  source = open_faces(data_paths(config), config.data.weights)
  fields = config.model.to_dict()
  architecture = fields.pop('name')
  model = models.get_model(architecture, **fields, dtype=config.dtype)
  preprocessing = Preprocessing(
    model.image_size,
    tuple(config.data.crop),
    color_order=_COLOR_ORDERS[model.image_channels],
  )
  schedule = optimizer.make_schedule(
    total_steps=config.total_steps, **config.learning_rate
  )
  frozen = tuple(config.frozen)
  tx = optimizer.make_optimizer(
    schedule,
    weight_decay=[tuple(rule) for rule in config.weight_decay],
    frozen=frozen,
    **config.optimizer,
  )
  loss_function = _loss_function(config.loss, source.num_identities, mesh)
  state, shardings = create_state(
    model,
    tx,
    key=jax.random.key(config.seed),
    image_size=model.image_size,
    num_identities=source.num_identities,
    mesh=mesh,
    image_channels=model.image_channels,
  )
  trees.check_rules(config.weight_decay, state.params, 'weight_decay')
  trees.check_rules([(f, 0) for f in frozen], state.params, 'frozen')
  schedule_2bit = _ternary_schedule(config, split_head(state.params)[0])
  train_step = step.make_train_step(
    model,
    tx,
    loss_function=loss_function,
    schedule=schedule,
    margin=step.margin_warmup(config.loss.margin, config.loss.warmup_steps),
    preprocessing=preprocessing,
    ternary_schedule=schedule_2bit,
    frozen=frozen,
    seed=config.seed,
  )
  exporter = Exporter(
    architecture,
    fields,
    preprocessing,
    schedule_2bit,
    source,
    source.num_identities,
    source.identities_checksum,
    batch_size=min(config.data.batch_size, len(source)),
    held_out=_open_held_out(config, source),
  )
  return Run(
    mesh,
    source,
    preprocessing,
    augmentation,
    state,
    shardings,
    step.compile_step(train_step, mesh, shardings),
    exporter,
    make_evaluators(config.evaluators.to_dict()),
    schedule_2bit,
  )


def resume_or_start(
  config: ConfigDict, run: Run, store: CheckpointStore
) -> int:
  """Puts the state where the run left off; returns the steps done."""
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    run.state,
  )
  restored = store.restore_latest(abstract, padded=_PADDED)
  if restored is not None:
    run.state, position, steps_done = restored
    check_position(position, data_position(config, run, steps_done))
    files.note(f'continuing after step {steps_done}')
    return steps_done
  if config.init_from:
    run.state, report = warm_start(
      run.state,
      config.init_from,
      num_identities=run.source.num_identities,
      identities_checksum=run.source.identities_checksum,
    )
    report.print(config.init_from)
  return 0


def data_position(
  config: ConfigDict, run: Run, steps_done: int
) -> dict[str, Any]:
  """The saved position of the data."""
  return make_position(
    run.source,
    step=steps_done,
    seed=config.seed,
    batch_size=config.data.batch_size,
  )


def make_batches(
  config: ConfigDict, run: Run, start_step: int
) -> Iterator[step.Batch]:
  """This process's share of every batch, as global arrays on the mesh."""
  sharding = mesh_lib.batch_sharding(run.mesh)
  local = make_pipeline(
    run.source,
    batch_size=config.data.batch_size,
    seed=config.seed,
    preprocessing=run.preprocessing,
    augmentation=run.augmentation,
    start_step=start_step,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    num_workers=config.data.num_workers,
  )
  with contextlib.closing(local):
    for batch in local:
      yield {
        name: jax.make_array_from_process_local_data(sharding, batch[name])
        for name in ('image', 'label')
      }
