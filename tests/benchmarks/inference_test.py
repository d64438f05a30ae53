import dataclasses
import math
import subprocess
import sys
import time

import chex
import jax
import numpy as np
import pytest
from absl.testing import absltest, flagsaver, parameterized

from benchmarks import (
  facejax_mobilefacenet,
  inference,
  inference_sides,
  layer_profile,
  model_costs,
  rounds,
  settings,
)
from benchmarks.reporting import UnavailableError
from facejax.errors import UsageError
from tests.conftest import REPOSITORY

SMALL = settings.Settings(
  batch_sizes=(2,),
  precision='float32',
  repeats=1,
  device='cpu',
  sides=('facejax', 'facejax_unfolded', 'onnxruntime', 'torch'),
  profile=True,
  width=0.125,
  image_size=32,
  num_stages=1,
)


class RoundsTest(chex.TestCase):
  def test_every_side_is_timed_once_a_round(self):
    seconds = rounds.time_rounds(
      {'fast': lambda: None, 'slow': lambda: time.sleep(0.3)}, 2
    )
    self.assertLen(seconds['fast'], 2)
    self.assertGreaterEqual(min(seconds['slow']), 0.3)
    self.assertLess(max(seconds['fast']), 0.1)

  def test_ratios_are_medians_within_rounds_of_the_best_of_ours(self):
    # The second round ran on a busy machine; the ratio is 2 all the same.
    seconds = {
      'a': [1.0, 10.0, 1.0],
      'b': [5.0, 50.0, 5.0],
      'peer': [2.0, 20.0, 2.1],
    }
    self.assertEqual(rounds.speed_ratios(seconds, ('a', 'b')), {'peer': 2.0})
    self.assertEqual(rounds.speed_ratios(seconds, ('c',)), {})

  def test_summary_has_medians_and_minima(self):
    summary = rounds.summarize({'a': [0.5, 0.2, 0.4]}, 8)
    self.assertEqual(
      summary['a'],
      {'median_ms': 400.0, 'min_ms': 200.0, 'images_per_second': 20.0},
    )


class SettingsTest(chex.TestCase):
  def test_every_number_of_threads_is_a_process(self):
    with flagsaver.flagsaver(threads=['1'], batch_sizes=['1', '32']):
      (only,) = settings.from_flags(inference.SIDES)
    self.assertEqual((only.threads, only.batch_sizes), (1, (1, 32)))
    self.assertEqual(only.sides, inference.SIDES)

  @parameterized.parameters(
    ({'threads': ['0']}, '--threads=0'),
    ({'threads': ['1000000']}, 'may use'),
    ({'batch_sizes': ['a']}, '--batch_sizes=a'),
    ({'sides': ['caffe']}, 'caffe is none of facejax'),
  )
  def test_bad_flags_are_named(self, given, message):
    with (
      flagsaver.flagsaver(**given),
      self.assertRaisesRegex(UsageError, message),
    ):
      settings.from_flags(inference.SIDES)


class ModelCostsTest(chex.TestCase):
  def test_multiply_adds_are_those_of_the_paper(self):
    costs = model_costs.layer_costs(settings.Settings())
    self.assertEqual(sum(cost.multiply_adds for cost in costs), 220_965_376)

  def test_values_are_inputs_and_outputs_of_each_convolution(self):
    stem, depthwise, *_, overall, embed = model_costs.layer_costs(
      settings.Settings()
    )
    self.assertEqual(stem.values, 112 * 112 * 3 + 56 * 56 * 64)
    self.assertEqual(depthwise.values, 2 * 56 * 56 * 64)
    self.assertEqual(overall.values, 7 * 7 * 512 + 512)
    self.assertEqual(embed.values, 512 + 128)

  def test_bfloat16_halves_what_activations_move(self):
    full, half = (
      model_costs.memory_floor(wanted, 1000)
      - model_costs.memory_floor(wanted, 0)
      for wanted in (SMALL, dataclasses.replace(SMALL, precision='bfloat16'))
    )
    self.assertEqual(full, 2 * half)

  def test_bandwidth_is_known_by_the_name_of_the_chip(self):
    self.assertEqual(model_costs.bandwidth('NVIDIA H200'), 4800)
    self.assertEqual(model_costs.bandwidth('NVIDIA H100 80GB HBM3'), 3350)
    self.assertIsNone(model_costs.bandwidth('AMD EPYC'))


class LayerProfileTest(chex.TestCase):
  def test_time_inside_others_is_theirs(self):
    events = [(0, 100, 'loop'), (10, 20, 'a'), (15, 5, 'b'), (200, 1, 'c')]
    self.assertEqual(
      layer_profile.own_times(events),
      [('loop', 80), ('a', 15), ('b', 5), ('c', 1)],
    )

  @parameterized.parameters(
    ('jit(f)/MobileFaceNet/stem/conv/dot', ('stem', 'conv', '')),
    (
      'jit(s)/transpose(jvp(MobileFaceNet))/stage0_block1/expand/norm/add',
      ('expand', 'norm', 'backward'),
    ),
    ('jit(s)/jvp(Net)/last/activation/mul', ('last', 'activation', '')),
    ('jit(s)/pmax', ('outside the layers', '', '')),
  )
  def test_paths_tell_the_layer(self, path, origin):
    self.assertEqual(layer_profile.layer_origin(path), origin)

  def test_a_fusion_is_called_by_all_that_it_holds(self):
    text = """
%fused (p: f32[2]) -> f32[2] {
  %m.1 = f32[2] multiply(%p, %p), metadata={op_name="f/a/expand/conv/mul"}
  ROOT %m.2 = f32[2] add(%m.1, %p), metadata={op_name="f/a/expand/activation/x"}
}

ENTRY %main (p: f32[2]) -> f32[2] {
  ROOT %mine = f32[2] fusion(%p), calls=%fused, metadata={op_name="f/a/expand/activation/x"}
}
"""  # noqa: E501
    layers = layer_profile.operation_layers(text)
    self.assertEqual(layers['mine'], ('expand', 'conv + activation'))
    self.assertEqual(layers['m.1'], ('expand', 'conv'))


class InferenceTest(chex.TestCase):
  def test_all_sides_compute_the_same_net(self):
    for package in ('onnx', 'onnxruntime', 'torch'):
      pytest.importorskip(package)
    variables = facejax_mobilefacenet.draw_variables(
      facejax_mobilefacenet.make_model(SMALL)
    )
    batch = inference_sides._measure_batch(SMALL, variables, 2)
    self.assertEqual(set(batch['sides']), set(SMALL.sides))
    for name, row in batch['sides'].items():
      self.assertLess(row['max_error'], 1e-4, name)
    others = set(SMALL.sides) - {'facejax'}
    self.assertEqual(set(batch['facejax_over']), others)
    self.assertAlmostEqual(
      sum(row['share'] for row in batch['profile']), 1, delta=0.01
    )
    self.assertIn('expand', {row['layer'] for row in batch['profile']})

  def test_folding_is_no_identity(self):
    variables = facejax_mobilefacenet.draw_variables(
      facejax_mobilefacenet.make_model(SMALL)
    )
    norm = variables['params']['stem']['norm']
    self.assertGreater(float(np.abs(norm['scale'] - 1).max()), 0.1)
    leaves = jax.tree.leaves(variables)
    self.assertTrue(all(np.isfinite(leaf).all() for leaf in leaves))

  def test_batches_that_cannot_be_split_are_skipped_with_the_reason(self):
    wanted = settings.Settings(
      device='cpu', precision='float32', width=0.125, image_size=32
    )
    with self.assertRaisesRegex(UnavailableError, 'nothing to split'):
      inference_sides._make_side(
        'facejax_split', wanted, {}, np.zeros((1, 32, 32, 3), np.float32)
      )

  def test_scripts_load_without_what_a_gpu_machine_lacks(self):
    code = (
      'import sys; sys.modules.update(dict.fromkeys('
      "('grain', 'tensorflow_datasets', 'ml_collections', 'array_record',"
      " 'onnx', 'onnxruntime')));"
      'from benchmarks import inference, inference_sides, train_step, '
      'train_step_sides, reporting, effective_fields'
    )
    process = subprocess.run(
      [sys.executable, '-c', code],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(process.returncode, 0, process.stderr)


class MemoryFloorTest(chex.TestCase):
  def test_a_step_moves_more_than_two_forward_passes(self):
    forward, step = (
      model_costs.memory_floor(SMALL, 64, training=training)
      for training in (False, True)
    )
    self.assertGreater(step, 2 * forward)
    self.assertTrue(math.isfinite(step))


if __name__ == '__main__':
  absltest.main()
