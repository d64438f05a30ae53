"""A run of two processes that turns ternary and stops on the way."""

import chex
import numpy as np
import pytest

import facejax
from tests.training import tiny_recipe
from tests.training.train_job import train


@pytest.mark.slow
class TwoProcessesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, trained, tmp_path):
    self.face_set, self.trained = face_set, trained
    self.workdir = tmp_path / 'run'

  def test_two_processes_turn_ternary_as_one_does_and_write_both_models(self):
    for total in (4, 6):
      result, _ = train(
        self.face_set,
        self.workdir,
        f'--config.total_steps={total}',
        recipe='tests/training/tiny_recipe.py:ternary',
      )
    rows = tiny_recipe.metric_rows(self.workdir)
    expected = tiny_recipe.metric_rows(self.trained.workdir)
    self.assertEqual(
      [(row['step'], 'loss' in row) for row in rows],
      [(row['step'], 'loss' in row) for row in expected],
    )
    # The codes of ternary weights, after these, hang on rounding.
    np.testing.assert_allclose(
      [row['loss'] for row in rows if 'loss' in row][:3],
      [row['loss'] for row in expected if 'loss' in row][:3],
      rtol=1e-3,
    )
    self.assertTrue(facejax.load_model(result['model_dir']).is_packed)
    self.assertFalse(facejax.load_model(self.workdir / 'model_float').is_packed)
    self.assertTrue(result['evaluation'])
