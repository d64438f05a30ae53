"""A run of two processes, each with its own devices, images and memory."""

import json
import os
import socket
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest

import facejax
from facejax.training.loop_setup import build_run
from tests.conftest import REPOSITORY
from tests.training import tiny_recipe

_PROCESS = """
import json, pathlib, sys
import jax
jax.config.update('jax_cpu_collectives_implementation', 'gloo')
index, port, data, workdir = int(sys.argv[1]), *sys.argv[2:5]
jax.distributed.initialize(f'127.0.0.1:{port}', 2, index)
from tests.training import tiny_recipe
for total in (4, 6):  # stops after four steps and goes on
  run = tiny_recipe.train(data, pathlib.Path(workdir), 'ternary',
                          total_steps=total)
print(json.dumps(run.result))
"""


@pytest.mark.slow
class TwoProcessesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, tmp_path):
    self.face_set, self.workdir = face_set, tmp_path / 'run'

  def test_two_processes_train_what_one_process_would(self):
    with socket.socket() as free:
      free.bind(('127.0.0.1', 0))
      port = free.getsockname()[1]
    command = [str(port), str(self.face_set), str(self.workdir)]
    processes = [
      subprocess.Popen(
        [sys.executable, '-c', _PROCESS, str(index), *command],
        cwd=REPOSITORY,
        env=os.environ | {'XLA_FLAGS': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for index in range(2)
    ]
    try:
      outputs = [process.communicate(timeout=900) for process in processes]
    finally:
      for process in processes:
        process.kill()
    for process, (_, stderr) in zip(processes, outputs, strict=True):
      self.assertEqual(process.returncode, 0, stderr)
    results = [json.loads(stdout.splitlines()[-1]) for stdout, _ in outputs]
    self.assertEqual(results[0], results[1])

    config = tiny_recipe.make_config(self.face_set)
    run = build_run(config, devices=jax.devices()[:2])
    expected = tiny_recipe.take_steps(config, run, 3)
    rows = tiny_recipe.metric_rows(self.workdir)
    losses = [row['loss'] for row in rows if 'loss' in row]
    self.assertLen(losses, 6)
    np.testing.assert_allclose(
      losses[:3], [row['loss'] for row in expected], rtol=1e-3
    )
    self.assertEqual(
      [row['step'] for row in rows if 'loss' not in row], [2, 3, 4, 6]
    )
    self.assertTrue(facejax.load_model(results[0]['model_dir']).is_packed)
    self.assertFalse(facejax.load_model(self.workdir / 'model_float').is_packed)
