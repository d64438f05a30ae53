import pathlib
import subprocess
import sys
import tempfile

import chex
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from facejax.data.images import decode_image, encode_jpeg
from facejax.data.recordio_writing import write_recordio
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.preparation import builders
from facejax.preparation.exclusion import Exclusion
from tests.conftest import REPOSITORY
from tests.preparation.face_sets import draw, members, write_folder, write_zip

FACES = {'ann': 2, 'bob': 3}
BUILDERS = {
  'casia_webface': (builders.CasiaWebface, 'train'),
  'ms_celeb': (builders.MsCeleb, 'train'),
  'lfw_faces': (builders.LfwFaces, 'test'),
  'face_folder': (builders.FaceFolder, 'train'),
}


class BuildersTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.manual = self.root / 'downloads'

  def build(self, builder_class, **options):
    builder = builder_class(data_dir=self.root / 'data', **options)
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(manual_dir=self.manual)
    )
    return builder

  @parameterized.parameters(*BUILDERS)
  def test_builder_prepares_and_reads_back(self, name):
    builder_class, split = BUILDERS[name]
    write_folder(self.manual, FACES)
    builder = self.build(builder_class)
    self.assertEqual(builder.name, name)
    self.assertEqual(list(builder.info.splits), [split])
    self.assertEqual(builder.info.splits[split].num_examples, 5)
    self.assertEqual(builder.info.features['label'].num_classes, 2)
    self.assertIn('@', builder.info.citation)
    self.assertRegex(str(builder.version), r'^\d+\.\d+\.\d+$')
    self.assertEqual(builder.identities, ['ann', 'bob'])
    faces = builder.as_data_source(split)
    labels = [faces[i]['label'] for i in range(5)]
    self.assertEqual(labels, [0, 0, 1, 1, 1])
    self.assertEqual(faces[4]['key'], b'bob/002.jpg')
    expected = decode_image(members(FACES)['bob/002.jpg'], 'x')
    difference = faces[4]['image'].astype(int) - expected
    self.assertLessEqual(np.abs(difference).max(), 8)  # another JPEG decoder

  def test_builders_are_found_by_name_once_imported(self):
    for name, (builder_class, _) in BUILDERS.items():
      builder = tfds.builder(name, data_dir=self.root / 'data')
      self.assertIsInstance(builder, builder_class)
      self.assertIn(f'{name}/1.0.0', str(builder.data_dir))
      self.assertIn('.jpg', builder.MANUAL_DOWNLOAD_INSTRUCTIONS)

  def test_another_builder_finds_what_is_prepared(self):
    write_folder(self.manual, FACES)
    self.build(builders.MsCeleb)
    again = builders.MsCeleb(data_dir=self.root / 'data')
    self.assertTrue(again.is_prepared())
    self.assertLen(again.as_data_source('train'), 5)
    self.assertLen(again.as_data_source('train[:40%]'), 2)
    self.assertEqual(again.info.features['label'].num_classes, 2)

  def test_training_reads_the_folder_directly(self):
    write_folder(self.manual, FACES)
    builder = self.build(builders.CasiaWebface)
    records = FaceRecords(builder.data_dir)
    records.verify()
    self.assertEqual(records[0]['image'], members(FACES)['ann/000.jpg'])
    self.assertTrue((builder.data_path / 'report' / 'report.json').exists())

  def test_recordio_in_a_folder_of_the_downloads_is_found(self):
    files = list(members(FACES).values())
    write_recordio(
      self.manual / 'faces_emore', zip([0, 0, 7, 7, 7], files, strict=True)
    )
    builder = self.build(builders.MsCeleb)
    self.assertEqual(builder.identities, ['0000000', '0000007'])
    self.assertEqual(FaceRecords(builder.data_dir)[4]['image'], files[4])

  def test_zip_among_the_downloads_is_read_in_place(self):
    self.manual.mkdir()
    write_zip(self.manual / 'CASIA-WebFace.zip', members(FACES))
    builder = self.build(
      builders.CasiaWebface, exclusion=Exclusion(['bob/001.jpg'])
    )
    self.assertEqual(builder.info.splits['train'].num_examples, 4)

  def test_people_with_one_image_stay_in_a_test_set(self):
    write_folder(self.manual, {'ann': 1, 'bob': 1})
    self.assertLen(self.build(builders.LfwFaces).identities, 2)

  def test_crops_of_another_size_are_told_by_the_features(self):
    folder = self.manual / 'ann'
    folder.mkdir(parents=True)
    for i in range(2):
      (folder / f'{i}.jpg').write_bytes(encode_jpeg(draw(i, (112, 96))))
    builder = self.build(builders.FaceFolder, image_size=(112, 96))
    self.assertEqual(builder.info.features['image'].shape, (112, 96, 3))

  def test_what_cannot_be_prepared_says_why_and_leaves_no_set(self):
    write_folder(self.manual, FACES)
    for name in ('a', 'b'):
      (self.manual / f'{name}.rec').write_bytes(b'')
    builder = builders.MsCeleb(data_dir=self.root / 'data')
    with self.assertRaisesRegex(DataError, 'several RecordIO files'):
      self.build(builders.MsCeleb)
    self.assertFalse(builder.is_prepared())
    config = tfds.download.DownloadConfig(
      manual_dir=self.manual, max_examples_per_split=3
    )
    with self.assertRaisesRegex(UsageError, 'max_examples_per_split'):
      builder.download_and_prepare(download_config=config)

  def test_tensorflow_is_not_imported(self):
    write_folder(self.manual, FACES)
    code = (
      'import sys\n'
      'import tensorflow_datasets as tfds\n'
      'from facejax.preparation import builders\n'
      'builder = builders.MsCeleb(data_dir=sys.argv[1])\n'
      'builder.download_and_prepare(download_config='
      'tfds.download.DownloadConfig(manual_dir=sys.argv[2]))\n'
      "print(len(builder.as_data_source('train')))\n"
      "sys.exit('tensorflow' in sys.modules)\n"
    )
    process = subprocess.run(
      [sys.executable, '-c', code, self.root / 'data', self.manual],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    self.assertEqual(process.stdout.splitlines()[-1], '5')


if __name__ == '__main__':
  absltest.main()
