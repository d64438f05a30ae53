"""launch.check_data: the command as a user runs it."""

import json
import subprocess
import sys

import numpy as np

from facejax.data.records import FaceRecords
from tests.conftest import REPOSITORY


def run(*arguments):
  """Runs the command in a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', 'launch.check_data', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_trained_model_checks_the_set_it_was_trained_on(
  trained, face_set, tmp_path
):
  done = run(
    f'--data={face_set}',
    f'--model={trained.result["model_dir"]}',
    f'--test_set={face_set}',
    '--batch_size=16',
    f'--output={tmp_path / "check"}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads(done.stdout.strip().split('\n')[-1])
  assert result['num_images'] == 44
  assert result['num_identities'] == result['test_identities'] == 11
  assert result['output'] == str(tmp_path / 'check')
  # Eleven people tell little of strangers, and the command says so.
  assert any('11 people' in text for text in result['warnings'])
  assert '11 people' in done.stderr
  rows = np.load(tmp_path / 'check' / 'embeddings.npy')
  np.testing.assert_allclose(
    np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=2e-3
  )
  assert len(rows) == len(FaceRecords(face_set))
  for name in ('near_duplicates', 'outliers', 'same_person', 'overlaps'):
    assert (tmp_path / 'check' / f'exclude_{name}.txt').exists()


def test_bad_input_is_one_line_and_leaves_nothing(face_set, tmp_path):
  for code, arguments in (
    (1, (f'--data={tmp_path}/none', '--embeddings=x.npz')),
    (1, (f'--data={face_set}', '--embeddings=/nowhere.npz')),
    (2, (f'--data={face_set}',)),
    (2, (f'--data={face_set}', '--embeddings=x', '--near_duplicate=2')),
  ):
    done = run(*arguments, f'--output={tmp_path / "out"}')
    assert done.returncode == code, done.stderr
    lines = [x for x in done.stderr.split('\n') if x.startswith('error: ')]
    assert len(lines) == 1, done.stderr
    assert 'Traceback' not in done.stderr
    assert done.stdout == ''
    assert not (tmp_path / 'out').exists()
