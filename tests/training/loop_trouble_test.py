"""What goes wrong under way ends the run, and harms nothing."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp

from facejax.errors import DataError, UserError
from facejax.training import loop
from facejax.training.loop_setup import build_run
from tests.training import tiny_recipe
from tests.training.loop_case import LoopTestCase, quiet, saved_steps


class TroubleTest(LoopTestCase):
  def test_a_loss_that_is_not_finite_stops_before_it_is_saved(self):
    self.copy(self.short)
    config = self.config_of(self.short, total_steps=4, log_every_steps=100)
    resume_or_start = loop.resume_or_start

    def poisoned(config, run, store, **options):
      start = resume_or_start(config, run, store, **options)
      params = jax.tree.map(lambda x: x, run.state.params)
      slope = params['stem']['activation']['slope']
      params['stem']['activation']['slope'] = slope.at[0].set(jnp.nan)
      run.state = run.state.replace(params=params)
      return start

    with (
      quiet() as stderr,
      mock.patch.object(loop, 'resume_or_start', poisoned),
      self.assertRaisesRegex(
        UserError, 'not finite at step 4 .*--replay_step=4'
      ),
    ):
      loop.train(config, self.workdir)
    self.assertEndsWith(stderr.getvalue(), '\n')  # the bar is closed
    run = build_run(config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.short.workdir),
    )
    self.assertEqual(
      (self.workdir / 'model' / 'model.json').read_bytes(),
      (self.short.workdir / 'model' / 'model.json').read_bytes(),
    )

  def test_an_error_in_the_data_closes_the_pipeline_and_keeps_what_is_saved(
    self,
  ):
    closed = []
    make_batches = loop.make_batches

    def broken(config, run, start):
      try:
        batches = make_batches(config, run, start)
        yield next(batches)
        raise DataError('record 7 is corrupt')
      finally:
        batches.close()
        closed.append(True)

    config = self.config_of(self.short)
    with (
      quiet(),
      mock.patch.object(loop, 'make_batches', broken),
      self.assertRaisesRegex(DataError, 'record 7 is corrupt'),
    ):
      loop.train(config, self.workdir)
    self.assertEqual(closed, [True])
    self.assertEqual(saved_steps(self.workdir), [1])
    # The metrics of a step are on disk before its checkpoint.
    self.assertLen(tiny_recipe.metric_rows(self.workdir), 1)
    # And the run can go on.
    with quiet():
      self.assertEqual(loop.train(config, self.workdir)['step'], 3)
    run = build_run(config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.short.workdir),
    )
    self.assertEqual(
      tiny_recipe.metric_rows(self.workdir),
      tiny_recipe.metric_rows(self.short.workdir),
    )

  def test_an_interruption_closes_the_pipeline(self):
    closed = []

    def interrupted(config, run, start):
      try:
        yield {'image': 0, 'label': 0}
      finally:
        closed.append(True)

    run = build_run(self.short.config)
    run.compiled_step = mock.Mock(side_effect=KeyboardInterrupt)
    with (
      quiet(),
      mock.patch.object(loop, 'build_run', return_value=run),
      mock.patch.object(loop, 'make_batches', interrupted),
      self.assertRaises(KeyboardInterrupt),
    ):
      loop.train(self.short.config, self.workdir)
    self.assertEqual(closed, [True])
