import json
import os
import pathlib
import resource
import tempfile
from unittest import mock

import chex
import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from facejax.data.images import decode_image, encode_jpeg
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.preparation import checks, prepare, sources, writing
from facejax.preparation.exclusion import Exclusion
from tests.preparation.face_sets import draw, write_folder, write_zip


def png(image):
  return cv2.imencode('.png', image[:, :, ::-1])[1].tobytes()


class PrepareTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'set'
    self.faces = self.root / 'faces'

  def prepare(self, *inputs, **options):
    source = sources.FolderSource(inputs or [self.faces])
    return prepare.prepare(source, self.output, **options)

  @property
  def manifest(self):
    return json.loads((self.output / 'manifest.json').read_text())

  def reasons(self):
    return {r['file']: r['reason'] for r in self.manifest['rejected']}

  def keys(self):
    records = FaceRecords(self.output)
    return [
      record['key'] for record in records.__getitems__(range(len(records)))
    ]

  def add(self, name, data):
    path = self.faces / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

  def test_set_holds_the_files_byte_for_byte_in_order_of_name(self):
    write_folder(self.faces, {'bob': 3, 'ann': 2})
    result = self.prepare()
    paths = sorted(self.faces.glob('*/*.jpg'))
    self.assertEqual(
      result,
      {
        'num_images': 5,
        'num_identities': 2,
        'num_rejected': 0,
        'num_excluded': 0,
        'bytes': sum(path.stat().st_size for path in paths),
        'output': str(self.output),
      },
    )
    records = FaceRecords(self.output)
    records.verify()
    for record, path in zip(records.__getitems__(range(5)), paths, strict=True):
      self.assertEqual(record['image'], path.read_bytes())
      self.assertEqual(record['key'], f'{path.parent.name}/{path.name}')
      self.assertEqual(record['label'], ['ann', 'bob'].index(path.parent.name))
    self.assertEqual(self.manifest['identities'], {'ann': 2, 'bob': 3})

  def test_same_input_gives_the_same_bytes(self):
    write_folder(self.faces, {'ann': 3, 'bob': 2})
    self.prepare()
    first = FaceRecords(self.output).checksums
    self.prepare(overwrite=True)
    self.assertEqual(FaceRecords(self.output).checksums, first)

  def test_identities_of_one_name_merge_over_folders_and_zips(self):
    write_folder(self.faces, {'ann': 2, 'bob': 2})
    data = encode_jpeg(draw(99))
    packed = write_zip(
      self.root / 'more.zip', {'deep/in/ann/000.jpg': data, 'x/cy/1.jpg': data}
    )
    result = self.prepare(self.faces, packed, min_images=1)
    self.assertEqual((result['num_images'], result['num_identities']), (6, 3))
    # The same file name in two inputs is two images.
    self.assertEqual(
      self.keys(),
      [
        'ann/000.jpg',
        'ann/000.jpg#2',
        'ann/001.jpg',
        'bob/000.jpg',
        'bob/001.jpg',
        'cy/1.jpg',
      ],
    )

  def test_tensorflow_datasets_reads_the_set(self):
    write_folder(self.faces, {'ann': 2, 'bob': 2})
    self.prepare()
    builder = tfds.builder_from_directory(self.output)
    self.assertEqual(builder.info.features['label'].names, ['ann', 'bob'])
    data = builder.as_data_source('train')
    self.assertLen(data, 4)
    self.assertEqual((data[3]['key'], data[3]['label']), (b'bob/001.jpg', 1))
    expected = decode_image((self.faces / 'bob/001.jpg').read_bytes(), 'x')
    difference = data[3]['image'].astype(int) - expected
    self.assertLessEqual(np.abs(difference).max(), 8)  # another JPEG decoder

  def test_every_bad_file_is_rejected_with_its_reason(self):
    write_folder(self.faces, {'ann': 2})
    jpeg = encode_jpeg(draw(1))
    self.add('ann/empty.jpg', b'')
    self.add('ann/half.jpg', jpeg[: len(jpeg) // 2])
    self.add('ann/text.jpg', b'this is no image')
    self.add('ann/small.jpg', encode_jpeg(draw(1, (100, 90))))
    self.add('stray.jpg', jpeg)
    os.mkfifo(self.faces / 'ann' / 'pipe.jpg')
    secret = self.root / 'secret.jpg'
    secret.write_bytes(jpeg)
    (self.faces / 'ann' / 'link.jpg').symlink_to(secret)
    result = self.prepare()
    self.assertEqual((result['num_images'], result['num_rejected']), (2, 7))
    expected = {
      'ann/empty.jpg': 'empty',
      'ann/half.jpg': 'cut short',
      'ann/text.jpg': 'no readable',
      'ann/small.jpg': 'is 90x100 pixels, not 112x112',
      'ann/pipe.jpg': 'not a regular file',
      'ann/link.jpg': 'leads out of',
      'stray.jpg': 'no identity folder',
    }
    reasons = self.reasons()
    self.assertCountEqual(reasons, expected)
    for name, part in expected.items():
      self.assertIn(part, reasons[name])

  def test_other_formats_are_encoded_and_wrong_extensions_do_not_matter(self):
    self.add('ann/a.jpg', png(draw(1)))
    self.add('ann/b.png', encode_jpeg(draw(2)))
    result = self.prepare()
    self.assertEqual((result['num_images'], result['num_rejected']), (2, 0))
    self.assertEqual(self.manifest['num_reencoded'], 1)
    first, second = FaceRecords(self.output).__getitems__([0, 1])
    self.assertEqual(first['image'], encode_jpeg(draw(1), quality=95))
    self.assertEqual(second['image'], (self.faces / 'ann/b.png').read_bytes())

  def test_files_of_other_types_are_counted(self):
    write_folder(self.faces, {'ann': 2})
    self.add('ann/landmarks.txt', b'1 2 3')
    self.add('.DS_Store', b'')
    self.prepare()
    self.assertEqual(self.manifest['num_ignored'], 1)

  def test_names_that_no_label_list_can_hold_are_rejected(self):
    write_folder(self.faces, {'ann': 2, 'two\nlines': 2, ' ': 2})
    os.mkdir(os.fsencode(self.faces) + b'/\xff')
    with open(os.fsencode(self.faces) + b'/\xff/1.jpg', 'wb') as file:
      file.write(encode_jpeg(draw(1)))
    result = self.prepare()
    self.assertEqual((result['num_images'], result['num_rejected']), (2, 5))
    self.assertIn('UTF-8', self.reasons()['\\udcff/1.jpg'])

  @parameterized.parameters((1, 3, 0), (2, 2, 1), (3, 1, 3))
  def test_identities_with_few_images_are_rejected(self, least, kept, rejected):
    write_folder(self.faces, {'ann': 3, 'bob': 2, 'cy': 1})
    with mock.patch('sys.stderr') as stderr:
      result = self.prepare(min_images=least)
    self.assertEqual(result['num_identities'], kept)
    self.assertEqual(result['num_rejected'], rejected)
    if rejected:
      self.assertIn(f'min_images={least}', self.reasons()['cy/000.jpg'])
      text = ''.join(str(call) for call in stderr.write.mock_calls)
      self.assertIn(f'fewer than {least} good images', text)

  def test_bad_images_do_not_count_towards_the_least(self):
    write_folder(self.faces, {'ann': 2, 'bob': 1})
    self.add('bob/bad.jpg', b'')
    self.assertEqual(self.prepare()['num_identities'], 1)
    self.assertCountEqual(self.reasons(), ['bob/000.jpg', 'bob/bad.jpg'])

  def test_exclusion_leaves_out_and_reports(self):
    write_folder(self.faces, {'ann': 3, 'bob': 2, 'cy': 2})
    result = self.prepare(exclusion=Exclusion(['bob', 'ann/001.jpg', 'dan']))
    self.assertEqual((result['num_images'], result['num_excluded']), (4, 3))
    self.assertEqual(self.manifest['excluded'], {'ann/001.jpg': 1, 'bob': 2})
    self.assertEqual(self.manifest['exclusions_unmatched'], ['dan'])
    self.assertNotIn('ann/001.jpg', self.keys())

  def test_nothing_to_write_is_an_error_that_leaves_nothing(self):
    self.faces.mkdir()
    with self.assertRaisesRegex(DataError, 'has no images'):
      self.prepare()
    write_folder(self.faces, {'ann': 2})
    with self.assertRaisesRegex(DataError, 'exclusion list leaves no image'):
      self.prepare(exclusion=Exclusion(['ann']))
    with self.assertRaisesRegex(DataError, 'no image is fit.*112x112 pixels'):
      self.prepare(image_size=(112, 96))
    self.assertEqual(os.listdir(self.root), ['faces'])

  def test_inputs_that_cannot_be_opened_are_refused(self):
    write_folder(self.faces, {'ann': 2})
    for inputs, error in (
      ([], UsageError),
      ([self.faces, self.root / 'faces'], UsageError),
      ([self.root / 'nothing'], DataError),
    ):
      with self.assertRaises(error):
        sources.FolderSource(inputs)

  def test_existing_output_is_kept_and_only_a_set_is_overwritten(self):
    write_folder(self.faces, {'ann': 2})
    self.output.mkdir()
    (self.output / 'thesis.txt').write_text('precious')
    for overwrite in (False, True):
      with self.assertRaises(UsageError):
        self.prepare(overwrite=overwrite)
    self.assertEqual(os.listdir(self.output), ['thesis.txt'])

  @parameterized.parameters(KeyboardInterrupt, RuntimeError)
  def test_interrupted_run_leaves_nothing_and_keeps_the_old_set(self, error):
    write_folder(self.faces, {'ann': 2})
    self.prepare()
    before = FaceRecords(self.output).checksums
    write_folder(self.faces, {'bob': 2})
    read = sources.FolderSource.read
    calls = []

    def fail_late(source, file):
      calls.append(file)
      if len(calls) == 7:  # four checks, then the writing
        raise error()
      return read(source, file)

    with (
      mock.patch.object(sources.FolderSource, 'read', fail_late),
      self.assertRaises(error),
    ):
      self.prepare(overwrite=True)
    self.assertCountEqual(os.listdir(self.root), ['faces', 'set'])
    self.assertEqual(FaceRecords(self.output).checksums, before)

  def test_full_disk_is_a_clear_error_that_leaves_nothing(self):
    write_folder(self.faces, {'ann': 40})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, limits[1]))
    try:
      with self.assertRaisesRegex(DataError, 'free some space'):
        self.prepare()
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    self.assertEqual(os.listdir(self.root), ['faces'])

  def test_several_shards_read_as_one(self):
    write_folder(self.faces, {'ann': 4, 'bob': 3})
    self.prepare()
    whole = FaceRecords(self.output).__getitems__(range(7))
    with mock.patch.object(writing, '_SHARD_BYTES', 10_000):
      self.prepare(overwrite=True)
    records = FaceRecords(self.output)
    self.assertGreater(len(records.checksums), 1)
    self.assertEqual(records.__getitems__(range(7)), whole)
    self.assertLen(
      tfds.builder_from_directory(self.output).as_data_source('train'), 7
    )

  def test_drawn_faces_become_the_same_set_every_time(self):
    source = sources.SyntheticSource(2, 3, seed=5)
    result = prepare.prepare(source, self.output)
    self.assertEqual((result['num_images'], result['num_identities']), (6, 2))
    records = FaceRecords(self.output)
    self.assertEqual(records[4]['key'], 'synthetic_000001/0001.jpg')
    # JPEG at quality 95 stays close to what was drawn.
    face = sources.SyntheticFaces(2, 3, seed=5)[4]['image'].astype(int)
    decoded = decode_image(records[4]['image'], 'x')
    self.assertLess(np.abs(decoded - face).mean(), 4)


class ChecksTest(chex.TestCase):
  def test_ordered_map_keeps_the_order_and_its_errors(self):
    self.assertEqual(
      list(checks.ordered_map(lambda x: x * x, range(1000))),
      [x * x for x in range(1000)],
    )
    with self.assertRaises(ZeroDivisionError):
      list(checks.ordered_map(lambda x: 1 // x, [1, 0]))

  def test_ordered_map_does_not_run_ahead_without_bound(self):
    taken = []
    results = checks.ordered_map(
      lambda x: x, (taken.append(x) or x for x in range(10_000))
    )
    next(results)
    self.assertLess(len(taken), 100)
    results.close()

  @parameterized.parameters('112', '112x', '0x112', '112X96', '-1x5', 'axb')
  def test_image_size_of_another_form_is_refused(self, text):
    with self.assertRaises(UsageError):
      prepare.parse_size(text)

  def test_image_size_is_height_first(self):
    self.assertEqual(prepare.parse_size('112x96'), (112, 96))


if __name__ == '__main__':
  absltest.main()
