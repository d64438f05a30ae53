import json
from unittest import mock

import chex
import numpy as np
import pytest
from absl.testing import absltest, flagsaver, parameterized

from benchmarks import (
  hash_convergence,
  hash_convergence_page,
  hash_convergence_run,
  hash_people,
  hash_ratios,
  hash_ratios_page,
  hash_ratios_run,
  hash_study,
  hold_out,
  study_report,
)
from benchmarks.hash_study import Study
from facejax.data.manifest import MANIFEST, read_manifest
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.training import loop
from tests.preparation.face_sets import write_folder, write_set

STUDY = Study('set', 'others', 'lfw', 'runs', 4, 8, 2, log_every_steps=1)
SIZES = {'width': 0.0625, 'image_size': (16, 16), 'rate': 0.01}
MODEL = {
  'parameters': 1000,
  'bytes': 4000,
  'embedding_size': 16,
  'code': 16,
  'float32': 64,
  'float16': 32,
  'int8': 20,
}


def lfw(share):
  return {
    'float': share,
    'hamming': share / 2,
    'two_stage': share,
    'interval_95': [0.0, 1.0],
    'candidates': 100,
    'num_gallery': 5749,
    'num_probes': 7484,
  }


def rows(losses, rank1):
  """Rows of a run: a loss in every step, an evaluation at the end."""
  found = [
    {'step': step, 'classification_loss': loss, 'images_per_second': 4.0}
    for step, loss in enumerate(losses, 1)
  ]
  measured = {'rank1': rank1, 'hash_rank1': rank1, 'loss': 1 - rank1}
  prefix = f'evaluation/{hash_study.HELD_OUT}/'
  return [
    *found,
    {'step': len(losses)} | {prefix + k: v for k, v in measured.items()},
  ]


def fake_run(name, config, study):
  """What a run would have found."""
  del config, study
  losses = {'usual': (4, 4, 4, 4), 'spliced': (3, 1, 1, 1)}
  return {
    'rows': rows(losses.get(name, (4, 3, 2, 1.5)), 0.25),
    'lfw': lfw(0.4),
    'model': MODEL,
  }


class CurvesTest(chex.TestCase):
  def test_a_smoothed_loss_is_the_mean_of_the_steps_before(self):
    found = hash_convergence_run.smooth(np.array([4.0, 2.0, 6.0, 1.0]), 2)
    np.testing.assert_allclose(found, [4, 3, 4, 3.5])
    np.testing.assert_allclose(
      hash_convergence_run.smooth(np.array([4.0, 2.0]), 5), [4, 3]
    )

  @parameterized.parameters(
    (2.0, True, 20), (2.5, True, 10), (0.5, True, None), (4.0, False, 30)
  )
  def test_a_value_is_reached_at_the_first_step_as_good(
    self, value, less, step
  ):
    curve = {'steps': [10, 20, 30], 'values': [2.5, 1.0, 5.0]}
    found = hash_convergence_run.first_reached(curve, value, less=less)
    self.assertEqual(found, step)

  def test_savings_are_shares_of_what_the_reference_takes(self):
    def form(values, seconds):
      curve = {'steps': [10, 20, 30, 40], 'values': values}
      return {'curves': {'held_out_loss': curve}, 'step_seconds': seconds}

    found = hash_convergence_run.reach(
      {
        'usual': form([5, 5, 5, 5], 1.0),
        'hash_alone': form([4, 3, 2, 3], 2.0),
        'spliced': form([2, 1, 1, 1], 3.0),
      },
      'held_out_loss',
    )
    self.assertIsNone(found['usual']['steps'])
    self.assertIsNone(found['usual']['seconds_saved'])
    self.assertEqual(found['hash_alone']['value'], 2)
    self.assertEqual(found['hash_alone']['steps'], 30)
    self.assertEqual(found['hash_alone']['seconds'], 60.0)
    self.assertEqual(found['hash_alone']['steps_saved'], 0.0)
    self.assertEqual(found['spliced']['seconds'], 30.0)
    self.assertAlmostEqual(found['spliced']['steps_saved'], 2 / 3)
    self.assertAlmostEqual(found['spliced']['seconds_saved'], 0.5)

  def test_seconds_are_those_between_the_logged_steps(self):
    logged = [
      {'step': 10, 'images_per_second': 1.0},
      {'step': 10, 'evaluation/held_out/loss': 1.0},
      {'step': 20, 'images_per_second': 8.0},
      {'step': 40, 'images_per_second': 4.0},
    ]
    # 80 images at 8 a second, 160 at 4.
    self.assertEqual(hash_study.wall_seconds(logged, 8), 50.0)


class ConvergenceTest(chex.TestCase):
  def test_forms_differ_in_nothing_but_the_form(self):
    configs = {
      form: hash_convergence_run.make_config(form, STUDY, **SIZES).to_dict()
      for form in hash_convergence_run.FORMS
    }
    for config in configs.values():
      config['model'].pop('pooled', None)
      config['model'].pop('local_pool', None)
      config['model'].pop('last_ratio', None)
    spliced, alone = configs['spliced'], configs['hash_alone']
    self.assertEqual(spliced['hash'].pop('classifier'), 'spliced')
    for name in ('hash_alone', 'usual'):
      self.assertEqual(configs[name]['hash'].pop('classifier'), 'hash')
    self.assertEqual(spliced, alone)
    self.assertEqual(spliced, configs['usual'])
    self.assertEqual(spliced['total_steps'], 4)
    self.assertEqual(spliced['loss']['name'], 'softmax')
    self.assertEqual(spliced['evaluators']['held_out']['data'], STUDY.held_out)

  def test_the_page_says_how_soon_each_form_is_as_good(self):
    times = {'usual': [0.5], 'hash_alone': [0.5], 'spliced': [1.0]}
    with (
      mock.patch.object(hash_study, 'run_form', fake_run),
      mock.patch.object(hash_study, 'time_steps', lambda *_: times),
      mock.patch.object(hash_convergence_run, 'SMOOTHING', 1),
    ):
      result = hash_convergence_run.measure(STUDY, **SIZES)
    json.dumps(result, allow_nan=False)
    reached = result['reached']['training_loss']
    self.assertEqual(reached['spliced']['steps'], 2)
    self.assertEqual(reached['spliced']['seconds'], 2.0)
    self.assertEqual(reached['hash_alone']['steps'], 4)
    page = hash_convergence_page.markdown(result)
    self.assertIn('| spliced: pooled F, F and h | 2 | 2 | 50.00 | 0.00 |', page)
    self.assertIn('| usual: feature layer, then h | not reached |', page)
    self.assertIn('92.86 % (section 3.2.1) and 90.00 % (conclusion)', page)
    figure = hash_convergence_page.figure(result)
    self.assertLen(figure.axes, 8)
    right = figure.axes[1].lines[2].get_xdata()
    np.testing.assert_allclose(right, [1.0, 2.0, 3.0, 4.0])

  def test_it_needs_two_sets(self):
    with self.assertRaisesRegex(UsageError, 'benchmarks.hold_out'):
      hash_convergence.main([])
    with self.assertRaisesRegex(UsageError, 'unexpected argument'):
      hash_convergence.main(['set'])
    with (
      flagsaver.flagsaver(data='a', held_out='b', study_image=['56']),
      self.assertRaisesRegex(UsageError, '--study_image=56: give a height'),
    ):
      hash_convergence.main([])


class RatiosTest(chex.TestCase):
  def test_every_ratio_has_its_own_width_and_every_seed_its_own_run(self):
    seen = []

    def run_form(name, config, study):
      seen.append((name, config.seed, config.model.last_ratio))
      return fake_run(name, config, study)

    with mock.patch.object(hash_study, 'run_form', run_form):
      result = hash_ratios_run.measure(STUDY, [0, 3], **SIZES)
    self.assertLen(seen, 10)
    self.assertEqual(seen[0], ('1_seed_0', 0, 1.0))
    self.assertEqual(seen[8], ('1_3_seed_3', 3, 1 / 3))
    json.dumps(result, allow_nan=False)
    page = hash_ratios_page.markdown(result)
    self.assertIn('Means of 2 seeds', page)
    self.assertIn(
      '| 1/2 | 20.00 ± 0.00 | 40.00 ± 0.00 | 40.00 ± 0.00 | 25.00 ± 0.00 | '
      '25.00 ± 0.00 | 16 | 1,000 | 4,000 | 16 + 64 | 95.58 |',
      page,
    )

  def test_one_seed_is_called_one(self):
    with mock.patch.object(hash_study, 'run_form', fake_run):
      result = hash_ratios_run.measure(STUDY, [0], **SIZES)
    page = hash_ratios_page.markdown(result)
    self.assertIn('One seed', page)
    self.assertIn('| 1/3 | 20.00 | 40.00 |', page)

  def test_seeds_are_whole_numbers(self):
    with (
      flagsaver.flagsaver(data='a', held_out='b', study_seeds=['one']),
      self.assertRaisesRegex(UsageError, '--study_seeds=one'),
    ):
      hash_ratios.main([])


class HoldOutTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.tmp_path = tmp_path

  def test_people_are_the_middles_of_equal_stretches(self):
    names = [f'p{number}' for number in range(9)]
    found = hash_people.choose_people(names[::-1], 3)
    self.assertEqual(found, ['p1', 'p4', 'p7'])

  @parameterized.parameters(1, 9)
  def test_both_sides_have_people(self, count):
    with self.assertRaisesRegex(UsageError, f'--num_held_out={count}'):
      hash_people.choose_people([f'p{n}' for n in range(9)], count)

  def test_both_sides_leave_out_what_the_set_left_out(self):
    from facejax.preparation import opening, prepare
    from facejax.preparation.exclusion import Exclusion

    folder = write_folder(
      self.tmp_path / 'crops', {f'p{n}': 3 for n in range(7)}
    )
    whole = self.tmp_path / 'whole'
    excluded = Exclusion(['p0', 'p3/2.jpg'])
    prepare.prepare(
      opening.open_source('folder', [folder]), whole, exclusion=excluded
    )
    left_out = read_manifest(whole)['num_excluded']
    with flagsaver.flagsaver(
      data=str(whole), output=str(self.tmp_path / 'sides'), num_held_out=2
    ):
      found = hold_out.main([])
      again = hold_out.main([])
    self.assertEqual(found, again)
    self.assertEqual(found['held_out_people'], ['p2', 'p5'])
    training, held_out = (
      FaceRecords(found[side]) for side in ('training', 'held_out')
    )
    self.assertEqual([*training.identities], ['p1', 'p3', 'p4', 'p6'])
    self.assertEqual([*held_out.identities], ['p2', 'p5'])
    self.assertEqual(len(training) + len(held_out), 21 - left_out)

  def test_a_set_of_unknown_origin_is_refused(self):
    folder = write_set(self.tmp_path, {'ann': 2, 'bob': 2, 'eve': 2})
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest['inputs']
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with self.assertRaisesRegex(DataError, 'was not prepared from'):
      hash_people.divide(folder, self.tmp_path / 'sides', 2)

  def test_both_folders_must_be_named(self):
    with self.assertRaisesRegex(UsageError, '--data'):
      hold_out.main([])


class RunTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path, face_set):
    self.tmp_path, self.face_set = tmp_path, face_set

  def test_a_run_is_trained_measured_and_not_done_twice(self):
    people = {f'other{n}': 3 for n in range(4)}
    others = str(write_folder(self.tmp_path / 'others', people))
    study = Study(
      data=str(self.face_set),
      held_out=others,
      lfw=others,
      folder=str(self.tmp_path / 'runs'),
      steps=2,
      batch_size=8,
      evaluations=1,
      log_every_steps=1,
    )
    config = hash_ratios_run.make_config(0.5, study, seed=0, **SIZES)
    config.model.update({'hash_bits': 8, 'units': (0, 0, 0, 0)})
    config.frozen = ()
    found = hash_study.run_form('half', config, study)
    self.assertEqual(hash_study.curve(found['rows'], 'loss')['steps'], [1, 2])
    curve = hash_study.curve(found['rows'], 'evaluation/held_out/hash_rank1')
    self.assertEqual(curve['steps'], [2])
    self.assertEqual(found['lfw']['num_gallery'], 4)
    self.assertEqual(found['lfw']['num_probes'], 8)
    # c is the whole gallery.
    self.assertEqual(found['lfw']['two_stage'], found['lfw']['float'])
    # Stages of 8 (the fewest), 8, 16 and 16 (half of 32) channels, F of 32.
    convolutions = [(3, 8), (8, 8), (8, 16), (16, 16)]
    wanted = sum(9 * i * o + 2 * o for i, o in convolutions) + 33 * 8
    self.assertEqual(found['model']['parameters'], wanted)
    self.assertEqual(found['model']['bytes'], 4 * wanted)
    self.assertEqual(found['model']['code'], 1)
    self.assertEqual(found['model']['embedding_size'], 32)
    with mock.patch.object(loop, 'train', side_effect=AssertionError):
      again = hash_study.run_form('half', config, study)
    self.assertEqual(again, found)
    described = study_report.describe(study, 'hash_ratios')
    self.assertEqual(described['data']['training']['people'], 11)
    self.assertEqual(described['data']['held_out'], {'path': others})


if __name__ == '__main__':
  absltest.main()
