"""From a training state to a model directory that everything else reads."""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from facejax import files
from facejax.array_typing import Float, PyTree
from facejax.checkpoint.model_directory import write_model_directory
from facejax.data.augmentation import Augmentation
from facejax.data.pipeline import FaceSource, make_pipeline
from facejax.data.preprocessing import Preprocessing
from facejax.data.records import FaceRecords
from facejax.evaluation.calibration import calibrate
from facejax.files import PathLike
from facejax.inference.description import describe_model
from facejax.inference.embedding import (
  OutputsFunction,
  make_outputs_function,
)
from facejax.models.face_net import FaceOutputs
from facejax.training.deployed import (
  deployed_rules,
  deployed_variables,
  float_variables,
)
from facejax.training.learner import TernarySchedule
from facejax.training.state import TrainState, split_head

_MEAN_IMAGES = 2048
# Class weights are copied whole to every host to be written. Larger ones are
# left to the checkpoints, which write each part where it lies.
_CLASSIFIER_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class Exporter:
  """Writes model directories of one run.

  Attributes:
    architecture: a name of `facejax.models`.
    fields: of its module.
    preprocessing: from an aligned crop to the input.
    ternary_schedule: None for a float run.
    source: the training faces, for the mean embedding.
    num_identities: K; rows of the class weights past it are left out.
    identities_checksum: of the labels.
    batch_size: images in one call of the model.
    held_out: people to calibrate thresholds on; None stores none.
  """

  architecture: str
  fields: dict[str, Any]
  preprocessing: Preprocessing
  ternary_schedule: TernarySchedule | None
  source: FaceSource
  num_identities: int
  identities_checksum: str
  batch_size: int
  held_out: FaceRecords | None = None

  def embed_function(
    self, state: TrainState, steps_done: int
  ) -> Callable[[np.ndarray], jax.Array]:
    """uint8 crops to raw embeddings, by the model as it would be deployed.

    It runs on the first device of this process, without the others.
    """
    outputs = self.outputs_function(state, steps_done)
    return lambda images: outputs(images).embedding

  def outputs_function(
    self, state: TrainState, steps_done: int
  ) -> Callable[[np.ndarray], FaceOutputs]:
    """`embed_function` with the logits of the hash layer, if there is one."""
    variables = self._local_variables(state, steps_done)
    return lambda images: self._outputs(variables, images)

  @functools.cached_property
  def _outputs(self) -> OutputsFunction:
    """Compiled once for all evaluations of a run."""
    return make_outputs_function(
      self.architecture, self.fields, self.preprocessing
    )

  @functools.cached_property
  def _deploy(self) -> Callable[..., PyTree]:
    return jax.jit(deployed_variables, static_argnames='rules')

  def _local_variables(self, state: TrainState, steps_done: int) -> PyTree:
    """The deployed variables, whole on one device of this process."""
    # All but the class weights is replicated, and they are not deployed.
    local = jax.tree.map(lambda leaf: leaf.addressable_data(0), state)
    rules = deployed_rules(self.ternary_schedule, steps_done)
    return self._deploy(local, rules=rules)

  def _training_mean(
    self, embed: Callable[[np.ndarray], jax.Array]
  ) -> Float[np.ndarray, ' D']:
    """Mean raw embedding of training faces, for mode 'centred'."""
    batches = make_pipeline(
      self.source,
      batch_size=self.batch_size,
      seed=0,
      preprocessing=Preprocessing(),  # whole crops, which `embed` fits itself
      augmentation=Augmentation(mirror=0.0),
    )
    count = max(1, min(len(self.source), _MEAN_IMAGES) // self.batch_size)
    with contextlib.closing(batches):
      embeddings = [
        np.asarray(embed(batch['image']), np.float32)
        for batch in itertools.islice(batches, count)
      ]
    return np.concatenate(embeddings).mean(0)

  def _classifier(self, class_weights: jax.Array) -> jax.Array | None:
    """Class weights without what pads them; None if they are too many."""
    if class_weights.nbytes > _CLASSIFIER_BYTES:
      if jax.process_index() == 0:
        files.note(
          f'class weights of {class_weights.nbytes / 1e9:.1f} GB stay in the '
          'checkpoints: the model directory is written without them'
        )
      return None
    return class_weights[: self.num_identities]

  def write(self, path: PathLike, state: TrainState, steps_done: int) -> None:
    """Writes the model as it stands; packed if it was trained ternary.

    An older directory at `path` is replaced at the very end.

    Raises:
      CheckpointError: the disk is full, or the embeddings are not finite.
    """
    rules = deployed_rules(self.ternary_schedule, steps_done)
    _, head = split_head(state.params)
    variables = float_variables(state)
    embed = self.embed_function(state, steps_done)
    thresholds = None
    if self.held_out is not None:
      thresholds = calibrate(embed, self.held_out, batch_size=self.batch_size)
    description = describe_model(
      jax.device_get(variables),
      architecture=self.architecture,
      fields=self.fields,
      preprocessing=self.preprocessing,
      rules=rules,
      training_mean=self._training_mean(embed),
      thresholds=thresholds,
      training_data={
        'identities_checksum': self.identities_checksum,
        'num_identities': self.num_identities,
        'num_images': len(self.source),
        'steps': steps_done,
      },
    )
    write_model_directory(
      path,
      description=description,
      variables=variables,
      rules=rules,
      classifier=self._classifier(head['class_weights']),
      overwrite=True,
    )
