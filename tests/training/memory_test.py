"""Bytes of the head and its traffic, by hand; what smaller types save."""

import dataclasses

import chex
import jax

from facejax.losses.margin_loss import make_margin_loss
from facejax.parallel import mesh as mesh_lib
from facejax.training import memory, residuals
from facejax.training.state import abstract_state
from tests.training.dry_run_case import BATCH, make_config, tiny_learner


class ExchangedTest(chex.TestCase):
  def test_other_axes_sum_the_gradient_of_class_weights(self):
    config = make_config(head__axes=('model',), micro_batches=2)
    learner = tiny_learner(config, mesh_lib.make_mesh(4, 2))
    crossing = memory.exchanged_bytes(learner, BATCH)
    # 501 rows a shard, in each of two parts of the batch.
    self.assertEqual(
      crossing['head'], 4 * BATCH * (2 * 16 + 6) + 2 * 501 * 16 * 4
    )

  def test_nothing_crosses_a_single_device(self):
    mesh = mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1])
    crossing = memory.exchanged_bytes(tiny_learner(make_config(), mesh), BATCH)
    self.assertEqual(crossing, {'head': 0, 'gradients': 0})


class HeadMemoryTest(chex.TestCase):
  def _alone(self, **fields):
    learner = tiny_learner(make_config(**fields), mesh_lib.make_mesh(), 80_000)
    return memory.head_alone(learner, 16)

  def test_only_sampled_rows_take_workspace(self):
    alone = self._alone()
    dense = memory.head_memory(alone, BATCH)
    head = dataclasses.replace(alone.head, sample_rate=0.1)
    sampled = memory.head_memory(dataclasses.replace(alone, head=head), BATCH)
    self.assertEqual(dense.exact, sampled.exact)
    self.assertEqual(dense.exact['head'], 10_000 * 16 * 4)
    # The gradient of all rows against what a step has of a tenth of them.
    self.assertGreater(dense.head_workspace, 10_000 * 16 * 4)
    self.assertLess(sampled.head_workspace, 0.5 * dense.head_workspace)

  def test_what_a_loss_learns_and_counts_is_the_heads(self):
    weights = 10_000 * 16 * 4
    for loss, head, momentum in (
      (make_margin_loss('softmax'), weights + 4 * 10_000, True),
      (make_margin_loss('normface'), weights + 4, True),
      (make_margin_loss('adaface'), weights + 2 * 4, False),
    ):
      alone = self._alone()
      alone = dataclasses.replace(
        alone, head=dataclasses.replace(alone.head, margin_loss=loss)
      )
      found = memory.state_bytes(*abstract_state(alone))
      self.assertEqual(found['head'], head, loss.name)
      # Statistics have no momentum.
      self.assertEqual(
        found['head_optimizer'], head if momentum else weights, loss.name
      )


class ResidualsTest(chex.TestCase):
  def test_a_type_of_half_the_bytes_keeps_about_half(self):
    mesh = mesh_lib.make_mesh()
    saved = {}
    for dtype, remat in (
      ('float32', False),
      ('bfloat16', False),
      ('bfloat16', True),
    ):
      config = make_config(dtype=dtype, remat=remat)
      learner = tiny_learner(config, mesh)
      saved[dtype, remat] = residuals.saved_by_type(learner, 64)
    self.assertEqual(saved['float32', False], 0)
    # The stem alone keeps its input to PReLU, 8 images of 16 x 16 x 16.
    self.assertGreater(saved['bfloat16', False], 8 * 16 * 16 * 16 * 2)
    self.assertLess(saved['bfloat16', True], saved['bfloat16', False])


class StepMemoryTest(chex.TestCase):
  def test_activations_computed_again_are_not_kept(self):
    mesh = mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1])
    kept, again = (
      memory.step_memory(tiny_learner(make_config(remat=remat), mesh), 512)
      for remat in (False, True)
    )
    self.assertEqual(kept.exact, again.exact)
    self.assertEqual(kept.head_workspace, again.head_workspace)
    self.assertLess(again.activations, 0.8 * kept.activations)
