import json
import os
import pathlib
import subprocess
import sys
import tempfile

import chex
import numpy as np
import pytest
from absl.testing import absltest, flagsaver

from facejax.data.images import encode_jpeg
from facejax.data.records import FaceRecords
from facejax.errors import UsageError
from launch import prepare_data
from tests.conftest import REPOSITORY, SHARED
from tests.preparation.face_sets import draw, write_folder

NAMES = 'train_names_in_lfw.txt'
ZIPS = [f'train_112_{name}.zip' for name in ('pins', 'glint', 'celeba')]


def run(*arguments):
  """The command as a user types it."""
  return subprocess.run(
    [sys.executable, '-m', 'launch.prepare_data', *map(str, arguments)],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


class PrepareDataTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'out' / 'set'

  def call(self, *argv, **flags):
    with flagsaver.flagsaver(output=str(self.output), **flags):
      return prepare_data.main(argv)

  def call_as_typed(self, **flags):
    with flagsaver.as_parsed(output=str(self.output), **flags):
      return prepare_data.main([])

  def assert_fails(self, process, code, message):
    self.assertEqual(process.returncode, code)
    self.assertRegex(process.stderr.splitlines()[-1], f'^error: .*{message}')
    self.assertNotIn('Traceback', process.stderr)
    self.assertEqual(process.stdout, '')
    self.assertFalse(
      (self.root / 'out').exists() and any((self.root / 'out').iterdir())
    )

  def test_command_prints_the_result_alone_on_the_last_line(self):
    faces = write_folder(self.root / 'faces', {'ann': 3, 'bob': 2, 'cy': 1})
    (faces / 'ann' / 'bad.jpg').write_bytes(b'')
    names = self.root / 'names.txt'
    names.write_text('# left out\nbob/000.jpg\nnobody\n')
    (faces / 'bob' / '002.jpg').write_bytes(encode_jpeg(draw(5)))
    process = run(
      f'--input={faces}', f'--exclude={names}', f'--output={self.output}'
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    result = json.loads(process.stdout.splitlines()[-1])
    size = result.pop('bytes')
    self.assertGreater(size, 5 * 1000)
    self.assertEqual(
      result,
      {
        'num_images': 5,
        'num_identities': 2,
        'num_rejected': 2,
        'num_fallback': 0,
        'num_excluded': 1,
        'num_duplicates': 0,
        'output': str(self.output),
        'report': str(self.output / 'report'),
      },
    )
    self.assertLen(FaceRecords(self.output), 5)
    for part in ('nobody', 'ann/bad.jpg', 'preparing: 100%'):
      self.assertIn(part, process.stderr)

  def test_bad_input_is_one_line_and_leaves_nothing(self):
    empty = self.root / 'empty'
    empty.mkdir()
    out = f'--output={self.output}'
    self.assert_fails(run(f'--input={empty}', out), 1, 'has no images')

  def test_unknown_source_is_a_usage_error(self):
    out = f'--output={self.output}'
    self.assert_fails(run('--source=cloud', out), 2, 'folder.*synthetic')

  def test_flags_that_the_source_would_ignore_are_refused(self):
    process = run('--source=synthetic', '--input=x', f'--output={self.output}')
    self.assert_fails(process, 2, '--input belongs to --source=folder')
    for flags, message in (
      ({'source': 'recordio', 'list': 'x'}, 'list belongs to --source=folder,'),
      ({'source': 'folder', 'split': 'x'}, 'split belongs to --source=tfds,'),
      ({'landmarks': 'x'}, 'landmarks belongs to --align=landmarks,'),
      ({'no_face': 'center'}, 'no_face belongs to --align=mtcnn or'),
      ({'align': 'landmarks', 'input': 'tests'}, '--landmarks=FILE'),
    ):
      with self.assertRaisesRegex(UsageError, message):
        self.call_as_typed(**flags)

  def test_missing_output_and_stray_arguments_are_refused(self):
    with self.assertRaisesRegex(UsageError, "unexpected argument 'faces.zip'"):
      self.call('faces.zip')
    with (
      flagsaver.flagsaver(output=None),
      self.assertRaisesRegex(UsageError, '--output is missing'),
    ):
      prepare_data.main([])

  def test_synthetic_faces_need_no_input(self):
    result = self.call(
      source='synthetic', num_identities=2, images_per_identity=2, seed=1
    )
    self.assertEqual((result['num_images'], result['num_identities']), (4, 2))
    self.assertLen(FaceRecords(self.output), 4)

  def test_recordio_that_mxnet_wrote_is_read_without_mxnet(self):
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')
    result = self.call(
      source='recordio', input=[f'{SHARED}/recordio/mxnet_insightface']
    )
    self.assertEqual((result['num_images'], result['num_identities']), (72, 12))
    records = FaceRecords(self.output)
    self.assertEqual(records[71]['key'], '0000011/000000072.jpg')
    report = json.loads((self.output / 'report/report.json').read_text())
    self.assertEqual(report['claims']['notes'], [])
    (claims,) = report['claims']['inputs'].values()
    self.assertEqual(claims['property'], [12, 112, 112])
    self.assertEqual(claims['header_range'], [73, 85])
    self.assertEqual(claims['distinct_labels'], 12)

  def test_bin_becomes_a_set_of_its_distinct_images(self):
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')
    result = self.call(source='bin', input=[f'{SHARED}/recordio/small_lfw.bin'])
    self.assertEqual(result['num_duplicates'], 0)
    self.assertGreater(result['num_images'], result['num_identities'])

  def test_photos_are_aligned_by_a_list_of_landmarks(self):
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')
    photos = self.root / 'photos'
    sample = pathlib.Path(SHARED, 'faces', 'raw_sample')
    for path in sorted((sample / 'lfw').glob('*.jpg'))[:5]:
      name = path.name.rpartition('_')[0]
      (photos / name).mkdir(parents=True)
      (photos / name / path.name).write_bytes(path.read_bytes())
    (photos / name / 'unknown.jpg').write_bytes(path.read_bytes())
    result = self.call(
      input=[str(photos)],
      align='landmarks',
      landmarks=str(sample / 'lfw_landmarks_250.txt'),
      landmarks_scale=0.6,
      min_images=1,
    )
    self.assertEqual((result['num_images'], result['num_rejected']), (5, 1))
    rejected = (self.output / 'report/rejected.tsv').read_text()
    self.assertIn('unknown.jpg', rejected)
    manifest = json.loads((self.output / 'manifest.json').read_text())
    self.assertIn('landmarks', str(manifest['alignment']))

  def test_embeddings_of_the_set_add_what_they_say_to_the_report(self):
    people = {f'p{person:02d}': 3 for person in range(12)}
    faces = write_folder(self.root / 'faces', people)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 32))
    plain = np.repeat(centres, 3, 0) + 0.5 * rng.normal(size=(36, 32))
    plain[4] = plain[3]
    names = [f'{name}/{image:03d}.jpg' for name in people for image in range(3)]
    saved = self.root / 'embeddings.npz'
    np.savez(saved, names=names, plain=plain.astype(np.float32))
    result = self.call(input=[str(faces)], embeddings=str(saved))
    self.assertEqual(result['num_near_duplicates'], 1)
    listed = (self.output / 'report/exclude_near_duplicates.txt').read_text()
    self.assertRegex(listed, r'p01/00[01]\.jpg')
    self.assertTrue((self.output / 'report/near_duplicates.png').exists())

  def test_what_cannot_judge_the_set_is_refused_before_it_is_made(self):
    faces = write_folder(self.root / 'faces', {'ann': 2})
    with self.assertRaisesRegex(UsageError, 'give a model, or embeddings'):
      self.call(input=[str(faces)], test_set='lfw.zip')
    self.assertFalse(self.output.exists())

  def test_one_real_zip_is_taken_whole(self):
    zips = self.shared_zips()
    result = self.call(input=zips[1:2], exclude=[f'{SHARED}/faces/{NAMES}'])
    self.assertEqual(result['num_rejected'], 0)
    self.assertEqual(result['num_images'] + result['num_excluded'], 3465)
    self.assertFalse(set(FaceRecords(self.output).identities) & self.names())

  @pytest.mark.slow
  def test_all_real_zips_give_the_full_and_the_clean_set(self):
    zips = self.shared_zips()
    full = self.call(input=zips)
    self.assertEqual((full['num_identities'], full['num_images']), (421, 21175))
    clean = self.call(
      input=zips, exclude=[f'{SHARED}/faces/{NAMES}'], overwrite=True
    )
    self.assertEqual(
      (clean['num_identities'], clean['num_images']), (392, 17029)
    )
    self.assertEqual(clean['num_excluded'], 21175 - 17029)
    records = FaceRecords(self.output)
    records.verify()
    self.assertFalse(set(records.identities) & self.names())

  def shared_zips(self):
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')
    return [f'{SHARED}/faces/{name}' for name in ZIPS]

  def names(self):
    return set(pathlib.Path(SHARED, 'faces', NAMES).read_text().split())


if __name__ == '__main__':
  absltest.main()
