import os
from unittest import mock

import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from facejax.data.images import decode_image, encode_jpeg
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.preparation import draft, prepare, sources
from facejax.preparation.aligners import Aligned
from facejax.preparation.exclusion import Exclusion
from tests.preparation.face_sets import MemorySource, draw, members
from tests.preparation.prepare_case import PrepareCase


def png(image):
  return cv2.imencode('.png', image[:, :, ::-1])[1].tobytes()


class PrepareTest(PrepareCase):
  def test_set_holds_the_files_byte_for_byte_in_order_of_name(self):
    files = members({'bob': 3, 'ann': 2})
    result = self.prepare(files)
    self.assertEqual(
      result,
      {
        'num_images': 5,
        'num_identities': 2,
        'num_rejected': 0,
        'num_fallback': 0,
        'num_excluded': 0,
        'num_duplicates': 0,
        'bytes': sum(map(len, files.values())),
        'output': str(self.output),
        'report': str(self.output / 'report'),
      },
    )
    records = FaceRecords(self.output)
    records.verify()
    self.assertEqual(self.keys(), sorted(files))
    for record in records.__getitems__(range(5)):
      self.assertEqual(record['image'], files[record['key']])
      name = record['key'].split('/')[0]
      self.assertEqual(records.identities[record['label']], name)
    np.testing.assert_array_equal(records.labels(), [0, 0, 1, 1, 1])
    self.assertEqual(os.listdir(self.root), ['set'])

  def test_same_input_gives_the_same_bytes(self):
    self.prepare(members({'ann': 3, 'bob': 2}))
    first = FaceRecords(self.output).checksums
    self.prepare(members({'ann': 3, 'bob': 2}), overwrite=True)
    self.assertEqual(FaceRecords(self.output).checksums, first)

  def test_every_image_is_read_once(self):
    source = MemorySource(members({'ann': 3, 'bob': 2}))
    self.prepare(source)
    self.assertEqual(source.num_reads, 5)

  def test_tensorflow_datasets_reads_the_set(self):
    files = members({'ann': 2, 'bob': 2})
    self.prepare(files)
    builder = tfds.builder_from_directory(self.output)
    self.assertEqual(builder.info.features['label'].num_classes, 2)
    data = builder.as_data_source('train')
    self.assertLen(data, 4)
    self.assertEqual((data[3]['key'], data[3]['label']), (b'bob/001.jpg', 1))
    expected = decode_image(files['bob/001.jpg'], 'x')
    difference = data[3]['image'].astype(int) - expected
    self.assertLessEqual(np.abs(difference).max(), 8)  # another JPEG decoder

  def test_every_bad_file_is_rejected_with_its_reason(self):
    jpeg = encode_jpeg(draw(1))
    bad = {
      'ann/empty.jpg': (b'', 'empty'),
      'ann/half.jpg': (jpeg[: len(jpeg) // 2], 'cut short'),
      'ann/lost.jpg': (None, 'cannot be read'),
      'ann/text.jpg': (b'this is no image', 'no readable'),
      'ann/small.jpg': (encode_jpeg(draw(1, (100, 90))), 'is 90x100 pixels'),
      'stray.jpg': (jpeg, 'lies in no folder'),
      'two\nlines/1.jpg': (jpeg, 'control characters'),
      ' /1.jpg': (jpeg, 'blank'),
      '\udcff/1.jpg': (jpeg, 'UTF-8'),
      'ann/\udcff.jpg': (jpeg, 'UTF-8'),
    }
    files = members({'ann': 2}) | {n: data for n, (data, _) in bad.items()}
    result = self.prepare(files)
    self.assertEqual((result['num_images'], result['num_rejected']), (2, 10))
    reasons = self.reasons()
    self.assertCountEqual(reasons, map(draft.printable, bad))
    for name, (_, part) in bad.items():
      self.assertIn(part, reasons[draft.printable(name)])

  def test_other_formats_are_encoded_and_wrong_extensions_do_not_matter(self):
    files = {'ann/a.jpg': png(draw(1)), 'ann/b.png': encode_jpeg(draw(2))}
    result = self.prepare(files)
    self.assertEqual((result['num_images'], result['num_rejected']), (2, 0))
    self.assertEqual(self.manifest['num_reencoded'], 1)
    first, second = FaceRecords(self.output).__getitems__([0, 1])
    self.assertEqual(first['image'], encode_jpeg(draw(1), quality=95))
    self.assertEqual(second['image'], files['ann/b.png'])

  @parameterized.parameters((1, 3, 0), (2, 2, 1), (3, 1, 3))
  def test_identities_with_few_images_are_rejected(self, least, kept, rejected):
    files = members({'ann': 3, 'bob': 2, 'cy': 1})
    with mock.patch('sys.stderr') as stderr:
      result = self.prepare(files, min_images=least)
    self.assertEqual(result['num_identities'], kept)
    self.assertEqual(result['num_rejected'], rejected)
    if rejected:
      self.assertIn(f'min_images={least}', self.reasons()['cy/000.jpg'])
      text = ''.join(str(call) for call in stderr.write.mock_calls)
      self.assertIn(f'{3 - kept} identities have fewer than {least}', text)

  def test_bad_images_do_not_count_towards_the_least(self):
    files = members({'ann': 2, 'bob': 1}) | {'bob/bad.jpg': b''}
    self.assertEqual(self.prepare(files)['num_identities'], 1)
    self.assertCountEqual(self.reasons(), ['bob/000.jpg', 'bob/bad.jpg'])

  def test_exclusion_leaves_out_and_reports(self):
    files = members({'ann': 3, 'bob': 2, 'cy': 2})
    result = self.prepare(
      files, exclusion=Exclusion(['bob', 'ann/001.jpg', 'dan'])
    )
    self.assertEqual((result['num_images'], result['num_excluded']), (4, 3))
    self.assertEqual(self.manifest['excluded'], {'ann/001.jpg': 1, 'bob': 2})
    self.assertEqual(self.manifest['exclusions_unmatched'], ['dan'])
    self.assertNotIn('ann/001.jpg', self.keys())

  def test_nothing_to_write_is_an_error_that_leaves_nothing(self):
    files = members({'ann': 2})
    with self.assertRaisesRegex(DataError, 'has no images'):
      self.prepare({})
    with self.assertRaisesRegex(DataError, 'exclusion list leaves no image'):
      self.prepare(files, exclusion=Exclusion(['ann']))
    with self.assertRaisesRegex(DataError, 'no image is fit.*112x112 pixels'):
      self.prepare(files, image_size=(112, 96))
    self.assertEqual(os.listdir(self.root), [])

  def test_existing_output_is_kept_and_only_a_set_is_overwritten(self):
    self.output.mkdir()
    (self.output / 'thesis.txt').write_text('precious')
    for overwrite in (False, True):
      with self.assertRaises(UsageError):
        self.prepare(members({'ann': 2}), overwrite=overwrite)
    self.assertEqual(os.listdir(self.output), ['thesis.txt'])

  def test_remote_output_says_what_to_do(self):
    with self.assertRaisesRegex(UsageError, 'local disks'):
      prepare.prepare(MemorySource(members({'ann': 2})), 'gs://bucket/set')

  def test_several_shards_read_as_one(self):
    files = members({'ann': 4, 'bob': 3, 'cy': 1, 'dan': 4})
    self.prepare(files, min_images=1)
    whole = FaceRecords(self.output).__getitems__(range(12))
    with mock.patch.object(draft, '_SHARD_BYTES', 10_000):
      self.prepare(files, min_images=1, overwrite=True)
    records = FaceRecords(self.output)
    self.assertLen(records.checksums, 3)
    self.assertEqual(records.__getitems__(range(12)), whole)
    self.assertLen(
      tfds.builder_from_directory(self.output).as_data_source('train'), 12
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

  @parameterized.parameters('112', '112x', '0x112', '112X96', '-1x5', 'axb')
  def test_image_size_of_another_form_is_refused(self, text):
    with self.assertRaises(UsageError):
      prepare.parse_size(text)

  def test_image_size_is_height_first(self):
    self.assertEqual(prepare.parse_size('112x96'), (112, 96))


class HalfAligner:
  """Finds a face in bright photos, falls back on grey, fails on dark ones."""

  batch_size = 3

  def __init__(self):
    self.batches = []

  def align(self, photos, paths):
    self.batches.append(len(photos))
    return [self._align(photo) for photo in photos]

  def _align(self, photo):
    if photo.mean() < 50:
      return Aligned(None, 'no face found')
    return Aligned(photo[:112, :112], fallback=bool(photo.mean() < 150))

  def describe(self):
    return {'method': 'half'}


class AlignTest(PrepareCase):
  def test_photos_become_crops_and_failures_are_listed(self):
    photo = {
      level: encode_jpeg(np.full((150, 130, 3), level, np.uint8))
      for level in (0, 100, 200)
    }
    files = {
      'ann/a.jpg': photo[200],
      'ann/b.jpg': photo[0],
      'ann/c.jpg': b'no photo',
      'ann/d.jpg': photo[100],
      'bob/a.jpg': photo[200],
      'bob/b.jpg': photo[200],
    }
    aligner = HalfAligner()
    result = self.prepare(files, aligner=aligner)
    self.assertEqual((result['num_images'], result['num_fallback']), (4, 1))
    self.assertEqual(self.reasons()['ann/b.jpg'], 'no face found')
    self.assertIn('no readable', self.reasons()['ann/c.jpg'])
    self.assertEqual(sum(aligner.batches), 5)
    self.assertEqual(self.manifest['alignment'], {'method': 'half'})
    image = decode_image(FaceRecords(self.output)[0]['image'], 'x')
    self.assertEqual(image.shape, (112, 112, 3))
    self.assertEqual(round(image.mean()), 200)

  def test_large_photos_are_aligned_few_at_a_time(self):
    aligner = HalfAligner()
    with mock.patch('facejax.preparation.checks._ALIGNED_AT_ONCE', 60_000):
      self.prepare(members({'ann': 6}), aligner=aligner)
    self.assertEqual(max(aligner.batches), 2)
    self.assertEqual(sum(aligner.batches), 6)


class ReportTest(PrepareCase):
  def test_exact_duplicates_are_listed_in_the_form_to_exclude(self):
    files = members({'ann': 3, 'bob': 2})
    files['ann/zz.jpg'] = files['ann/001.jpg']
    files['bob/zz.jpg'] = files['ann/001.jpg']
    result = self.prepare(files)
    self.assertEqual(result['num_duplicates'], 2)
    self.assertEqual(
      self.table('duplicates.tsv'),
      [
        ('ann/001.jpg', 'ann/zz.jpg', 'same'),
        ('ann/001.jpg', 'bob/zz.jpg', 'another'),
      ],
    )
    self.assertEqual(self.summary['num_duplicates_across_identities'], 1)
    path = self.output / 'report' / 'exclude_duplicates.txt'
    lines = path.read_text().splitlines()
    self.prepare(files, exclusion=Exclusion(lines), overwrite=True)
    self.assertEqual(self.summary['num_duplicates'], 0)
    self.assertEqual(self.summary['num_images'], 5)

  def test_equal_hashes_of_different_images_are_no_duplicates(self):
    with mock.patch('hashlib.blake2b') as blake2b:
      blake2b.return_value.digest.return_value = bytes(8)
      result = self.prepare(members({'ann': 3, 'bob': 2}))
    self.assertEqual(result['num_duplicates'], 0)

  def test_counts_and_pictures_stand_in_the_report(self):
    self.prepare(members({'a': 3, 'b': 2, 'c': 9, 'd': 5, 'e': 4}))
    self.assertEqual(
      self.summary['images_per_identity'],
      {
        'min': 2,
        'lower_quartile': 3,
        'median': 4,
        'upper_quartile': 5,
        'max': 9,
      },
    )
    for name in ('images_per_identity.png', 'contact_sheet.png'):
      data = (self.output / 'report' / name).read_bytes()
      self.assertGreater(decode_image(data, name).std(), 10)

  def test_contradictions_of_a_source_are_said(self):
    source = MemorySource(members({'ann': 2}))
    claims = {'inputs': {}, 'notes': ['a.rec: no 3 people']}
    source.claims = lambda: claims
    with mock.patch('sys.stderr') as stderr:
      self.prepare(source)
    self.assertEqual(self.summary['claims'], claims)
    text = ''.join(str(call) for call in stderr.write.mock_calls)
    self.assertIn('note: a.rec: no 3 people', text)


if __name__ == '__main__':
  absltest.main()
