"""From a config to everything that a run needs, built and checked.

ConfigDicts end here and in `loop`; what is built knows plain values.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.data.augmentation import Augmentation
from facejax.data.mixture import MixedFaces, open_faces
from facejax.data.pipeline import check_position, make_pipeline, make_position
from facejax.data.records import FaceRecords
from facejax.evaluation.calibration import check_held_out
from facejax.parallel import mesh as mesh_lib
from facejax.training import step
from facejax.training.evaluators import ScheduledEvaluator, make_evaluators
from facejax.training.export import Exporter
from facejax.training.learner import Learner
from facejax.training.loop_checks import check_config, data_paths
from facejax.training.recipe import make_learner, note_uneven_parts
from facejax.training.state import TrainState, create_state
from facejax.training.warm_start import warm_start


@dataclasses.dataclass
class Run:
  """Everything that a config stands for; `state` moves on as it trains."""

  learner: Learner
  source: FaceRecords | MixedFaces
  augmentation: Augmentation
  state: TrainState
  shardings: Any
  compiled_step: Any
  exporter: Exporter
  evaluators: list[ScheduledEvaluator]


# What a run begins with, from the run as it is built.
FirstState = Callable[[Run], TrainState]


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
  mesh_lib.check_batch(
    config.data.batch_size, mesh, micro_batches=config.micro_batches
  )
  augmentation = Augmentation(**config.data.augmentation)
  source = open_faces(data_paths(config), config.data.weights)
  learner = make_learner(
    config, num_identities=source.num_identities, mesh=mesh
  )
  note_uneven_parts(learner)
  state, shardings = create_state(learner, jax.random.key(config.seed))
  fields = config.model.to_dict()
  exporter = Exporter(
    fields.pop('name'),
    fields,
    learner.preprocessing,
    learner.ternary_schedule,
    source,
    source.num_identities,
    source.identities_checksum,
    batch_size=min(config.data.batch_size, len(source)),
    held_out=_open_held_out(config, source),
  )
  return Run(
    learner,
    source,
    augmentation,
    state,
    shardings,
    step.compile_step(step.make_train_step(learner), mesh, shardings),
    exporter,
    make_evaluators(config.evaluators.to_dict(), trained_on=source.identities),
  )


def restore_state(
  run: Run, store: CheckpointStore, *, before: int | None = None
) -> tuple[TrainState, dict[str, Any], int] | None:
  """State, data position and step of the newest checkpoint, on a run's mesh.

  Args:
    run: whose state has the shapes and shardings that are wanted.
    store: any checkpoints of such a run.
    before: newest step to take; None for the newest there is.
  """
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    run.state,
  )
  # Padded to the mesh, which may be another one now.
  return store.restore_latest(
    abstract, padded=mesh_lib.PER_IDENTITY, before=before
  )


def resume_or_start(
  config: ConfigDict,
  run: Run,
  store: CheckpointStore,
  *,
  before: int | None = None,
  first_state: FirstState | None = None,
) -> int:
  """Puts the state where the run left off; returns the steps done.

  Args:
    config: of the run.
    run: freshly built; its state is replaced.
    store: the run's checkpoints.
    before: newest step to go back to; None for the newest there is.
    first_state: gives the state of step 0; None takes the initial one, with
      what fits of `config.init_from`.
  """
  restored = restore_state(run, store, before=before)
  if restored is not None:
    run.state, position, steps_done = restored
    check_position(position, data_position(config, run, steps_done))
    if jax.process_index() == 0:
      files.note(f'continuing after step {steps_done}')
    return steps_done
  if first_state is not None:
    run.state = first_state(run)
  elif config.init_from:
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
  sharding = mesh_lib.batch_sharding(run.learner.mesh)
  local = make_pipeline(
    run.source,
    batch_size=config.data.batch_size,
    seed=config.seed,
    preprocessing=run.learner.preprocessing,
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
