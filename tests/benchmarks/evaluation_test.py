import json
import subprocess
import sys
from unittest import mock

import chex
import numpy as np
import pytest
from absl.testing import absltest, flagsaver

from benchmarks import evaluation, evaluation_run, scored_faces
from facejax.errors import DataError, UsageError
from facejax.evaluation import rates
from tests.conftest import REPOSITORY

FEW = ((1, 30), (2, 20), (12, 3))  # (images of a person, people)


def few_faces():
  with mock.patch.object(scored_faces, 'LFW_PEOPLE', FEW):
    return scored_faces.random_faces()


class ScoredFacesTest(chex.TestCase):
  def test_random_faces_have_the_counts_of_lfw(self):
    faces = scored_faces.random_faces()
    self.assertLen(faces.labels, 13_233)
    self.assertEqual(faces.labels.max() + 1, 5749)
    self.assertLen(faces.first_of_each().labels, 10_489)
    images = np.bincount(faces.labels)
    self.assertEqual([(images == n).sum() for n in (1, 2)], [4069, 779])
    norms = np.linalg.norm(faces.features, axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)

  def test_at_most_so_many_images_of_each_person_are_kept(self):
    faces = few_faces()
    images = np.bincount(faces.first_of_each(5).labels)
    np.testing.assert_array_equal(images, [1] * 30 + [2] * 20 + [5] * 3)

  def test_saved_faces_are_unit_features_person_by_person(self):
    path = self.create_tempfile('few.npz').full_path
    plain = np.array([[3.0, 4.0], [0.0, 2.0], [5.0, 0.0]], np.float32)
    np.savez(path, names=['B/1', 'A/2', 'A/1'], plain=plain)
    faces = scored_faces.read_faces(path)
    np.testing.assert_array_equal(faces.labels, [0, 0, 1])
    np.testing.assert_allclose(faces.features, [[1, 0], [0, 1], [0.6, 0.8]])

  def test_images_without_folders_are_refused(self):
    path = self.create_tempfile('flat.npz').full_path
    np.savez(path, names=['1', '2'], plain=np.ones((2, 2), np.float32))
    with self.assertRaises(DataError):
      scored_faces.saved_faces(path)


class EvaluationTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.faces = few_faces()
    self.enter_context(
      mock.patch.object(scored_faces, 'read_faces', return_value=self.faces)
    )
    self.enter_context(mock.patch.object(evaluation_run, 'FARS', (1e-2, 1e-3)))

  def test_every_part_is_timed_on_the_devices_of_the_process(self):
    with mock.patch('benchmarks.rounds._ENOUGH_SECONDS', 0.0):
      result = evaluation_run.measure(None, 1)
    self.assertEqual(result['cpu_devices'], 8)
    self.assertEqual(result['num_images'], 106)
    least = result['least_seconds']
    self.assertEqual(least['features'], 0)  # nothing was read
    self.assertAlmostEqual(
      least['together'], least['all_pairs'] + least['closed_set'], places=3
    )
    for part in ('all_pairs', 'closed_set', 'bootstrap', 'product'):
      self.assertGreater(least[part], 0)
    self.assertIn('all_pairs', evaluation_run._table(result))

  def test_peers_are_given_every_pair_once_and_find_our_rates(self):
    first = self.faces.first_of_each()
    scores, same = evaluation_run._all_scores(first)
    count = len(first.labels)
    self.assertLen(scores, count * (count - 1) // 2)
    self.assertEqual(same.sum(), 20 + 3 * 45)
    ours = [rates.tar_at_far(scores, same, far).tar for far in (1e-2, 1e-3)]
    metrics = mock.Mock(roc_curve=lambda same, scores: rates.roc(scores, same))
    package = mock.Mock(metrics=metrics)
    with (
      mock.patch.dict(sys.modules, {'sklearn': package}),
      mock.patch('importlib.metadata.version', return_value='0'),
    ):
      found = evaluation_run.measure_peers(None)
    self.assertEqual(found['roc_curve_tar'], ours)

  def test_without_scikit_learn_numpy_alone_is_timed(self):
    with mock.patch.dict(sys.modules, {'sklearn': None}):
      found = evaluation_run.measure_peers(None)
    self.assertIn('sklearn', found['skipped']['roc_curve'])
    self.assertIn('numpy_sort_seconds', found)

  def test_flags_that_mean_nothing_are_refused(self):
    for splits in ([], ['0.5'], ['two']):
      with (
        flagsaver.flagsaver((evaluation.CPU_SPLITS, splits)),
        self.assertRaisesRegex(UsageError, 'numbers from 1 on'),
      ):
        evaluation.main([])
    with self.assertRaisesRegex(UsageError, 'unexpected argument'):
      evaluation.main(['x'])

  @pytest.mark.slow
  def test_the_script_prints_one_json_object(self):
    process = subprocess.run(
      [
        *(sys.executable, '-m', 'benchmarks.evaluation'),
        *('--evaluation_rounds=1', '--cpu_splits=2', '--score_peers=false'),
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=True,
    )
    (result,) = json.loads(process.stdout)['results']
    self.assertEqual(result['cpu_devices'], 2)
    self.assertEqual(result['num_images'], 13_233)


if __name__ == '__main__':
  absltest.main()
