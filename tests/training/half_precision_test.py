"""bfloat16 is how a run computes; what it learns and writes is float32."""

import json

import chex
import jax
import jax.numpy as jnp
import pytest

from facejax.training.loop_setup import build_run
from tests.training import tiny_recipe


class HalfPrecisionTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, trained, tmp_path):
    self.face_set, self.trained = face_set, trained
    self.path = tmp_path / 'model'

  def test_a_step_is_near_that_in_float32_and_the_model_has_no_type(self):
    config = tiny_recipe.make_config(self.face_set, dtype='bfloat16')
    run = build_run(config)
    (metrics,) = tiny_recipe.take_steps(config, run, 1)
    exact = tiny_recipe.metric_rows(self.trained.workdir)[0]['loss']
    self.assertAlmostEqual(metrics['loss'] / exact, 1, delta=0.02)
    self.assertNotEqual(metrics['loss'], exact)  # it was really computed so
    kept = (run.state.params, run.state.batch_stats, run.state.opt_state)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(kept)}
    self.assertNotIn(jnp.dtype('bfloat16'), dtypes)
    run.exporter.write(self.path, run.state, 1)
    description = json.loads((self.path / 'model.json').read_text())
    self.assertNotIn('dtype', description['architecture']['fields'])
