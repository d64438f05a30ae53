"""A run that goes on with other processes and devices than it had before."""

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.data.mixture import open_faces
from facejax.data.pipeline import batch_records
from facejax.parallel.mesh import PER_IDENTITY
from facejax.training import loop
from facejax.training.loop_checks import data_paths
from tests.preparation.face_sets import write_set
from tests.training import tiny_recipe
from tests.training.loop_case import quiet
from tests.training.train_job import (
  ROUNDING,
  SMOOTH,
  SMOOTH_FLAGS,
  distances,
  read_checkpoint,
  save_smooth_start,
  train,
)

IDENTITIES = 10
# (processes, devices of each): 10 identities divide by none of the totals.
LEGS = ((4, 1), (2, 3), (1, 3), (4, 2))
STEPS = 2
# What a checkpoint is opened on here: 'data' x 'model' devices.
MESHES = ((1, 1), (2, 2), (3, 1), (8, 1))
BATCH_SIZE = 48  # divides by all
FLAGS = (
  '--config.checkpoint.keep=10',
  f'--config.data.batch_size={BATCH_SIZE}',
  *SMOOTH_FLAGS,
)


@pytest.fixture(scope='module')
def ten_people(tmp_path_factory):
  """A prepared set of ten people with five images each."""
  root = tmp_path_factory.mktemp('ten')
  return write_set(root, {f'p{person}': 5 for person in range(IDENTITIES)})


@pytest.fixture(scope='module')
def elastic(ten_people, tmp_path_factory):
  """(config, workdir, run at step 0) of a run with a checkpoint a leg."""
  workdir = tmp_path_factory.mktemp('elastic') / 'run'
  config = tiny_recipe.make_config(
    ten_people,
    total_steps=len(LEGS) * STEPS,
    data__batch_size=BATCH_SIZE,
    **SMOOTH,
  )
  alone = save_smooth_start(config, workdir)
  for leg, (count, devices) in enumerate(LEGS, 1):
    result, stderr = train(
      ten_people,
      workdir,
      *FLAGS,
      f'--config.total_steps={leg * STEPS}',
      f'--cpu_devices={devices}',
      count=count,
    )
    assert result['step'] == leg * STEPS
    assert f'continuing after step {(leg - 1) * STEPS}\n' in stderr
  return config, workdir, alone


def per_identity(state):
  """Class weights and their momentum by name, [R, D] each."""
  rules = [(PER_IDENTITY, True)]
  return {
    name: leaf
    for name, leaf in trees.named_leaves(state).items()
    if trees.first_match(rules, name, False)
  }


def without_padding(state, identities=IDENTITIES):
  """The state with the rows of identities alone; the others must be zero."""
  found = per_identity(state)
  assert len(found) == 2, list(found)
  for name, leaf in found.items():
    assert leaf[:identities].any(), name
    assert not leaf[identities:].any(), name
  return trees.map_named(
    lambda name, leaf: leaf[:identities] if name in found else leaf, state
  )


@pytest.mark.slow
class ElasticTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, elastic):
    self.config, self.workdir, self.alone = elastic

  def test_four_to_two_to_one_to_four_trains_what_one_process_does(self):
    run = self.alone
    losses = []
    for start in range(0, len(LEGS) * STEPS, STEPS):
      metrics = tiny_recipe.take_steps(self.config, run, STEPS, start)
      losses += [row['loss'] for row in metrics]
      found, position = read_checkpoint(
        self.config, self.workdir, step=start + STEPS
      )
      self.assertEqual(position['step'], start + STEPS)
      expected = jax.tree.map(np.asarray, run.state)
      for part, distance in distances(found, expected).items():
        self.assertLess(distance, ROUNDING, part)
    rows = tiny_recipe.metric_rows(self.workdir)
    self.assertEqual([row['step'] for row in rows], list(range(1, 9)))
    np.testing.assert_allclose([r['loss'] for r in rows], losses, rtol=ROUNDING)

  @parameterized.parameters(range(STEPS, len(LEGS) * STEPS + 1, STEPS))
  def test_what_a_leg_saved_reads_back_the_same_on_any_mesh(self, step):
    first, *others = [
      read_checkpoint(
        self.config, self.workdir, step=step, data=data, model=model
      )
      for data, model in MESHES
    ]
    for state, position in others:
      chex.assert_trees_all_equal(
        without_padding(state), without_padding(first[0])
      )
      self.assertEqual(position, first[1])


@pytest.mark.slow
class SampledTest(chex.TestCase):
  """Partial FC, where the rows that a step samples depend on the mesh."""

  IDENTITIES = 53  # 56 rows on four shards, 54 on two
  # Of two processes with two devices each, then of the eight devices here.
  STEPS = (2, 4)
  SHARDS = (4, 2)
  SAMPLES = (8, 13)  # room for the batch; half of a shard

  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    people = {f'p{person:02d}': 1 for person in range(self.IDENTITIES)}
    self.face_set = write_set(tmp_path, people)
    self.workdir = tmp_path / 'run'

  def config(self, **overrides):
    return tiny_recipe.make_config(
      self.face_set,
      data__batch_size=8,
      checkpoint__every_steps=1,
      checkpoint__keep=10,
      head__sample_rate=0.5,
      **overrides,
    )

  def by_model(self):
    """Identities split over one axis of two."""
    return self.config(
      total_steps=self.STEPS[1], mesh__model=2, head__axes=('model',)
    )

  def train_legs(self):
    train(
      self.face_set,
      self.workdir,
      '--config.data.batch_size=8',
      '--config.checkpoint.every_steps=1',
      '--config.checkpoint.keep=10',
      '--config.head.sample_rate=0.5',
      f'--config.total_steps={self.STEPS[0]}',
      '--cpu_devices=2',
    )
    with quiet() as stderr:
      result = loop.train(self.by_model(), self.workdir)
    self.assertIn(f'continuing after step {self.STEPS[0]}', stderr.getvalue())
    self.assertEqual(result['step'], self.STEPS[1])

  def read(self, step):
    """A step, after checking that it is the same on all meshes."""
    config = self.config()
    states = [
      read_checkpoint(config, self.workdir, step=step, data=data, model=model)[
        0
      ]
      for data, model in MESHES
    ]
    states.append(
      read_checkpoint(
        self.by_model(), self.workdir, step=step, data=4, model=2
      )[0]
    )
    states = [without_padding(state, self.IDENTITIES) for state in states]
    chex.assert_trees_all_equal(*states)
    return per_identity(states[0])

  def test_it_goes_on_along_another_axis_and_moves_sampled_rows_alone(self):
    self.train_legs()
    before = self.read(1)
    for step in range(2, self.STEPS[1] + 1):
      after = self.read(step)
      moved = {
        name: set(np.flatnonzero((leaf != before[name]).any(axis=1)))
        for name, leaf in after.items()
      }
      weights, momentum = moved.values()
      self.assertEqual(weights, momentum)
      leg = int(step > self.STEPS[0])
      self.assertContainsSubset(self.labels(step), weights)
      self.assertGreater(len(weights), 8)
      self.assertLessEqual(len(weights), self.SHARDS[leg] * self.SAMPLES[leg])
      before = after

  def labels(self, step):
    """Identities in the batch of a step, counted from 1."""
    config = self.config()
    records = batch_records(
      open_faces(data_paths(config), ()),
      step=step - 1,
      batch_size=8,
      seed=config.seed,
    )
    return {label for _, _, label in records}
