"""Recipes that change under way."""

import chex
import pytest
from absl.testing import parameterized

from facejax import files
from facejax.errors import CheckpointError
from facejax.training import loop_changes
from tests.training import tiny_recipe


def _config(**overrides):
  return tiny_recipe.make_config('set', 'ternary', **overrides)


class RecipeTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.path = files.Path(tmp_path / 'config.json')

  def _check(self, old, new, steps_done=2):
    files.write_json(self.path, old.to_dict())
    loop_changes.check_unchanged(new, self.path, steps_done)

  def test_what_leaves_past_steps_alone_may_change(self):
    old = _config()
    self._check(
      old,
      _config(
        total_steps=9,
        checkpoint__keep=7,
        evaluators__drawn__every_steps=5,
        mesh__model=2,
        data__path='elsewhere',
        log_every_steps=3,
      ),
    )

  @parameterized.parameters((2, True), (3, True), (4, False), (6, False))
  def test_ternary_training_may_move_only_while_it_lies_ahead(
    self, steps_done, allowed
  ):
    new = _config(ternary__from_step=5)
    if allowed:
      self._check(_config(), new, steps_done)
    else:
      with self.assertRaisesRegex(CheckpointError, 'from_step was 3 and is 5'):
        self._check(_config(), new, steps_done)

  def test_ternary_training_cannot_be_claimed_for_past_steps(self):
    old = _config(ternary__from_step=-1)
    with self.assertRaisesRegex(CheckpointError, 'from_step was -1 and is 3'):
      self._check(old, _config(), steps_done=6)

  def test_a_field_that_an_older_version_did_not_have_is_no_change(self):
    old = _config()
    old.unlock()
    del old.data.augmentation['blur']
    self._check(old, _config())
