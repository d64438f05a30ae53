"""Trainings in rounds by true processes: killed, stopped, several of them."""

import json
import signal

import chex
import numpy as np
import pytest

from facejax import files
from tests.preparation.face_sets import write_folder
from tests.training import tiny_recipe
from tests.training.train_job import PATIENCE, SMOOTH_FLAGS, train, train_job

SLOW = 'tests.training.slow_train'


@pytest.mark.slow
class RoundsJobTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, tmp_path):
    self.face_set, self.tmp_path = face_set, tmp_path
    people = write_folder(
      tmp_path / 'people', {f'held{p}': 3 for p in range(6)}
    )
    evaluators = {
      'people': {
        'kind': 'identification',
        'every_steps': 2,
        'data': str(people),
        'batch_size': 8,
      }
    }
    self.flags = (
      f'--config.evaluators={json.dumps(evaluators)}',
      '--config.rounds.max_rounds=2',
      '--config.rounds.patience=2',
      '--config.checkpoint.best_metric=evaluation/people/loss',
      '--config.checkpoint.best_is=min',
      *SMOOTH_FLAGS,
    )

  def _run(self, name, count=1, **options):
    result, _ = train(
      self.face_set, self.tmp_path / name, *self.flags, count=count, **options
    )
    return result

  def _rows(self, name, number):
    return tiny_recipe.metric_rows(self.tmp_path / name / f'round_{number}')

  def test_killed_in_the_middle_of_a_round_it_ends_as_if_it_had_not_been(self):
    whole = self._run('whole')
    self.assertEqual([r['steps'] for r in whole['rounds']], [6, 6])
    for number, step in ((0, 3), (1, 1), (1, 4)):
      with train_job(
        self.face_set, self.tmp_path / 'killed', *self.flags, count=1,
        script=SLOW,
      ) as job:  # fmt: skip
        job.workdir = self.tmp_path / 'killed' / f'round_{number}'
        job.wait_for_step(step)
    # Killed by SIGKILL, as the block ends.
    result = self._run('killed')
    self.assertEqual(result['rounds'], whole['rounds'])
    for number in (0, 1):
      self.assertEqual(
        self._rows('killed', number), self._rows('whole', number)
      )
    for name in ('rounds.json', 'model/model.json'):
      self.assertEqual(
        files.read_json(self.tmp_path / 'killed' / name),
        files.read_json(self.tmp_path / 'whole' / name),
      )

  def test_two_processes_train_the_rounds_of_one_and_stop_together(self):
    self._run('whole')
    workdir = self.tmp_path / 'two'
    with train_job(
      self.face_set, workdir, *self.flags, script=SLOW, local=False
    ) as job:
      job.workdir = workdir / 'round_1'
      job.wait_for_step(1)
      job.processes[1].send_signal(signal.SIGTERM)
      ends = job.ends(PATIENCE)
    self.assertEqual([code for code, _, _ in ends], [75, 75], ends)
    result = self._run('two', count=2)
    self.assertEqual([record['steps'] for record in result['rounds']], [6, 6])
    for number in (0, 1):
      # Rounding decides on which side of a kink an activation is: equal runs
      # part within some steps.
      found, expected = (
        [row['loss'] for row in self._rows(name, number) if 'loss' in row][:3]
        for name in ('two', 'whole')
      )
      np.testing.assert_allclose(found, expected, rtol=1e-2)
