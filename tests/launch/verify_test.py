"""launch.verify: the command as a user runs it."""

import json
import os
import pathlib
import subprocess
import sys

import chex
import pytest
from absl.testing import absltest, flagsaver, parameterized

from facejax.data.images import decode_image, encode_jpeg, encode_png
from facejax.errors import CheckpointError, DataError, UsageError
from launch import verify
from tests import raw_photos
from tests.conftest import REPOSITORY
from tests.inference import tiny_model
from tests.preparation.face_sets import draw

THRESHOLDS = {
  'at': [{'far': 1e-3, 'threshold': 0.25, 'far_interval': [5e-4, 2e-3]}]
}


def run(*arguments):
  """Runs the command in a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', 'launch.verify', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


class VerifyTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.model = str(self.root / 'model')

  def write(self, name, data):
    (self.root / name).write_bytes(data)
    return str(self.root / name)

  def crops(self):
    return [
      self.write(f'{i}.png', encode_png(image))
      for i, image in enumerate(tiny_model.random_faces(2))
    ]


class VerifyTest(VerifyTestCase):
  def test_crops_are_compared_at_the_calibrated_threshold(self):
    tiny_model.write(self.model, thresholds=THRESHOLDS)
    a, b = self.crops()
    with flagsaver.flagsaver(model=self.model, aligned=True):
      result = verify.main([a, b])
    self.assertEqual(
      list(result),
      [
        'same',
        'similarity',
        'threshold',
        'far',
        'far_interval',
        'faces',
        'model',
        'output',
      ],
    )
    self.assertEqual(result['same'], result['similarity'] > 0.25)
    self.assertEqual((result['threshold'], result['far']), (0.25, 1e-3))
    self.assertEqual(result['far_interval'], [5e-4, 2e-3])
    self.assertEqual([face['path'] for face in result['faces']], [a, b])
    self.assertEqual(result['model'], self.model)
    json.dumps(result, allow_nan=False)

  def test_a_model_without_thresholds_takes_one_or_says_how(self):
    tiny_model.write(self.model)
    photos = self.crops()
    with flagsaver.flagsaver(model=self.model, aligned=True):
      with self.assertRaisesRegex(UsageError, 'launch.import_weights'):
        verify.main(photos)
      with flagsaver.flagsaver(threshold=-1.0):
        result = verify.main(photos)
    self.assertTrue(result['same'])
    self.assertIsNone(result['far'])

  def test_a_photo_without_a_face_leaves_no_picture(self):
    tiny_model.write(self.model, thresholds=THRESHOLDS)
    wall = self.write('wall.jpg', encode_jpeg(draw(0, (200, 200))))
    output = str(self.root / 'report.png')
    with (
      flagsaver.flagsaver(model=self.model, output=output),
      self.assertRaisesRegex(DataError, f'{wall}: no face was found'),
    ):
      verify.main([wall, wall])
    self.assertFalse(os.path.exists(output))

  @parameterized.parameters(0, 1, 3)
  def test_another_number_of_photos_is_refused(self, count):
    with self.assertRaisesRegex(UsageError, f'needed, {count} given'):
      verify.main(['a.jpg'] * count)

  def test_a_wrong_output_is_refused_before_the_work(self):
    with (
      flagsaver.flagsaver(model='/nowhere', output='report.jpg'),
      self.assertRaisesRegex(UsageError, 'ends with .png'),
    ):
      verify.main(['a.jpg', 'b.jpg'])

  def test_no_model_is_said(self):
    with self.assertRaisesRegex(UsageError, '--model is missing'):
      verify.main(['a.jpg', 'b.jpg'])
    with (
      flagsaver.flagsaver(model='/nowhere'),
      self.assertRaisesRegex(CheckpointError, 'no such model directory'),
    ):
      verify.main(['a.jpg', 'b.jpg'])

  def test_bad_input_is_one_line_and_an_exit_code(self):
    for arguments, code in (
      (['a.jpg', '--model=m'], 2),
      (['a.jpg', 'b.jpg', '--model=/nowhere'], 1),
    ):
      done = run(*arguments)
      self.assertEqual(done.returncode, code, done.stderr)
      self.assertLen(done.stderr.strip().split('\n'), 1)
      self.assertStartsWith(done.stderr, 'error: ')
      self.assertEmpty(done.stdout)


@pytest.mark.usefixtures('shared')
class RealPhotosTest(VerifyTestCase):
  def test_real_photos_give_faces_and_a_picture(self):
    tiny_model.write(self.model, thresholds=THRESHOLDS)
    photos = [
      os.path.join(raw_photos.FOLDER, 'celeba', name)
      for name in ('186900.jpg', '187353.jpg')
    ]
    output = str(self.root / 'report.png')
    with flagsaver.flagsaver(model=self.model, output=output):
      result = verify.main(photos)
    for face, path in zip(result['faces'], photos, strict=True):
      self.assertEqual(face['path'], path)
      self.assertEqual(face['num_faces'], 1)
      self.assertGreater(face['score'], 0.95)
      self.assertLen(face['landmarks'], 5)
    self.assertEqual(result['output'], output)
    picture = decode_image(pathlib.Path(output).read_bytes(), output)
    self.assertEqual(picture.shape, (1125, 1200, 3))


if __name__ == '__main__':
  absltest.main()
