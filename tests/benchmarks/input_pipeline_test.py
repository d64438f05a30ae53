import json
import pathlib
import subprocess
import sys

import chex
import pytest
from absl.testing import absltest

from benchmarks import input_costs, input_readers, stored_faces
from facejax.data.records import FaceRecords
from tests.conftest import REPOSITORY


class InputPipelineTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, tmp_path):
    self.face_set, self.folder = face_set, pathlib.Path(tmp_path)
    self.faces = FaceRecords(face_set)

  def test_recordio_and_zip_hold_the_same_faces(self):
    for form in stored_faces.write_forms(self.faces, self.folder):
      self.assertLen(form, 44)
      for index in range(44):
        for field in ('image', 'label'):
          self.assertEqual(form[index][field], self.faces[index][field])

  def test_a_recordio_file_is_prepared_as_the_set_it_was(self):
    recordio, _ = stored_faces.write_forms(self.faces, self.folder)
    again = stored_faces.prepare_faces(str(recordio.path), self.folder)
    self.assertEqual(
      [face['image'] for face in again.__getitems__(range(44))],
      [face['image'] for face in self.faces.__getitems__(range(44))],
    )

  def test_every_reader_in_this_process_gives_batches(self):
    forms = stored_faces.write_forms(self.faces, self.folder)
    readers = input_readers.readers(
      self.faces, forms, batch_size=4, num_cores=1
    )
    for name, open_reader in readers.items():
      batches = open_reader()
      if batches is not None:  # PyTorch need not be installed
        self.assertLen(next(batches), 2 if 'PyTorch' in name else 3, name)
        batches.close()

  def test_costs_sum_up_to_the_whole(self):
    costs = input_costs.costs(
      self.faces, batch_size=4, num_batches=2, total=1e4
    )
    self.assertAlmostEqual(sum(costs.values()), 1e4, delta=1)
    self.assertGreater(costs['decode'], 0)

  @pytest.mark.slow
  def test_the_script_prints_one_json_object(self):
    process = subprocess.run(
      [
        *(sys.executable, '-m', 'benchmarks.input_pipeline'),
        f'--data={self.face_set}',
        '--pipeline_rounds=1',
        '--pipeline_batches=1',
        '--pipeline_batch=4',
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    result = json.loads(process.stdout)
    self.assertEqual(result['num_images'], 44)
    self.assertGreater(
      result['one_core'][input_readers.OURS]['images_per_second_per_core'], 0
    )


if __name__ == '__main__':
  absltest.main()
