"""Real processes that share one order, and go on as another number of them."""

import json
import os
import subprocess
import sys

import chex
import numpy as np
import pytest
from absl.testing import absltest

from facejax.data.mixture import FaceOrder, open_faces
from tests.conftest import REPOSITORY
from tests.preparation.face_sets import write_set

BATCH, SEED, WEIGHTS = 8, 5, (3, 2)
COUNTS = ({'ann': 4, 'bob': 3}, {'cy': 6, 'dan': 5, 'eve': 2})

# Reads the position that the last processes left, runs some steps, and leaves
# the new one, as a training process does with its checkpoint.
_PROCESS = """
import contextlib, json, pathlib, sys
from facejax.data.augmentation import Augmentation
from facejax.data.mixture import open_faces
from facejax.data.pipeline import check_position, make_pipeline, make_position
from facejax.data.preprocessing import Preprocessing
index, count, steps = map(int, sys.argv[1:4])
saved, new, *paths = sys.argv[4:]
options = {'seed': 5, 'batch_size': 8}
source = open_faces(paths, (3, 2))
start = 0
if pathlib.Path(saved).exists():
  position = json.loads(pathlib.Path(saved).read_text())
  start = position['step']
  check_position(position, make_position(source, step=start, **options))
batches = make_pipeline(
  source, preprocessing=Preprocessing(), augmentation=Augmentation(),
  start_step=start, process_index=index, process_count=count, **options)
with contextlib.closing(batches):
  seen = [next(batches) for _ in range(steps)]
if index == 0:
  position = make_position(source, step=start + steps, **options)
  pathlib.Path(new).write_text(json.dumps(position))
print(json.dumps([
  [b['index'].tolist(), b['label'].tolist(), int(b['image'].sum())]
  for b in seen]))
"""


class ProcessesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.root = tmp_path
    self.paths = [
      write_set(tmp_path / str(number), counts)
      for number, counts in enumerate(COUNTS)
    ]
    self.stage = 0

  def run_stage(self, count, steps):
    """Batches of `count` new processes: [count, steps] of what they print."""
    places = [str(self.root / f'{self.stage + k}.json') for k in range(2)]
    processes = [
      subprocess.Popen(
        [
          *(sys.executable, '-c', _PROCESS),
          *map(str, (index, count, steps)),
          *places,
          *map(str, self.paths),
        ],
        cwd=REPOSITORY,
        env=os.environ | {'XLA_FLAGS': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for index in range(count)
    ]
    try:
      outputs = [process.communicate(timeout=300) for process in processes]
    finally:
      for process in processes:
        process.kill()
    for process, (_, stderr) in zip(processes, outputs, strict=True):
      self.assertEqual(process.returncode, 0, stderr)
    self.stage += 1
    return [json.loads(stdout.splitlines()[-1]) for stdout, _ in outputs]

  def run_stages(self, *stages):
    """(places, labels, sums of pixels) of the run, batch after batch."""
    places, labels, sums = [], [], []
    for count, steps in stages:
      for batches in zip(*self.run_stage(count, steps), strict=True):
        # Host p of n holds every n-th image of a batch from the p-th on.
        places += np.array([b[0] for b in batches]).T.ravel().tolist()
        labels += np.array([b[1] for b in batches]).T.ravel().tolist()
        sums.append(sum(b[2] for b in batches))
    return places, labels, sums

  def assert_is_the_whole_order(self, places, labels):
    faces = open_faces(self.paths, WEIGHTS)
    order = FaceOrder(faces, seed=SEED)
    self.assertEqual(places, [order[i] for i in range(len(places))])
    self.assertEqual(labels, [faces[index]['label'] for index in places])
    for start, stop in faces.spans:
      seen = [index for index in places if start <= index < stop]
      size = stop - start
      self.assertGreater(len(seen), 2 * size)
      for first in range(0, len(seen) - size, size):
        self.assertCountEqual(seen[first : first + size], range(start, stop))

  def test_one_process_goes_on_as_two_as_four_and_as_one_again(self):
    places, labels, sums = self.run_stages((1, 2), (2, 3), (4, 5), (1, 2))
    self.assertLen(places, 12 * BATCH)
    self.assert_is_the_whole_order(places, labels)
    self.stage = 100  # a run of its own, which nothing interrupts
    whole = self.run_stages((1, 12))
    self.assertEqual((places, labels, sums), whole)

  def test_another_set_is_refused_by_a_new_process(self):
    self.run_stage(1, 1)
    self.paths.reverse()
    with self.assertRaisesRegex(AssertionError, 'data are not the same'):
      self.run_stage(1, 1)


if __name__ == '__main__':
  absltest.main()
