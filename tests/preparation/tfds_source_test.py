import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import chex
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from facejax.data.images import encode_jpeg
from facejax.errors import DataError, UsageError
from facejax.preparation.sources import FaceSource
from facejax.preparation.tfds_source import TfdsSource


def jpeg(number):
  return encode_jpeg(np.full((8, 8, 3), number, np.uint8))


def class_label(**options):
  return tfds.features.ClassLabel(**options)


class Toy(tfds.core.ShardBasedBuilder):
  """Splits of shards of examples, as they are given."""

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, *, splits, label, extra, **options):
    self._splits, self._label, self._extra = splits, label, extra
    super().__init__(**options)

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(
            shape=(None, None, 3), encoding_format='jpeg'
          ),
          'label': self._label,
        }
        | self._extra
      ),
      disable_shuffling=True,
    )

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager

    def generator(shard):
      return lambda: enumerate(
        {'image': image if isinstance(image, bytes) else jpeg(image)} | rest
        for image, rest in shard
      )

    return {
      split: [generator(shard) for shard in shards]
      for split, shards in self._splits.items()
    }


def labelled(first, labels):
  """A shard of images first, first + 1, ... with these labels."""
  return [(first + i, {'label': label}) for i, label in enumerate(labels)]


class TfdsSourceTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def write(self, name, splits, *, label, extra=None):
    """Writes a data set; a list of shards is its split 'train'."""
    if not isinstance(splits, dict):
      splits = {'train': splits}
    builder = Toy(
      splits=splits, label=label, extra=extra or {}, data_dir=self.root / name
    )
    with contextlib.redirect_stdout(io.StringIO()):
      builder.download_and_prepare(
        file_format='array_record',
        download_config=tfds.download.DownloadConfig(try_download_gcs=False),
      )
    return pathlib.Path(builder.data_path)

  def people(self, source):
    """{number of the drawn image: name of its person}, by reading them all."""
    known = {jpeg(number): number for number in range(60)}
    return {
      known[source.read(item)]: source.identities[label] if label >= 0 else None
      for item, label in enumerate(source.labels)
    }

  def test_images_come_as_they_are_stored_with_the_names_of_classes(self):
    path = self.write(
      'a',
      [labelled(0, [1, 0]), labelled(2, [1])],
      label=class_label(names=['bob', 'ann']),
    )
    source = TfdsSource([path])
    self.assertIsInstance(source, FaceSource)
    self.assertEqual(source.identities, ['ann', 'bob'])
    self.assertEqual(source.labels.tolist(), [0, 1, 0])
    self.assertEqual(source.labels.dtype, np.int32)
    self.assertEqual(self.people(source), {0: 'ann', 1: 'bob', 2: 'ann'})
    self.assertEqual(source.path(2), 'ann/000000002.jpeg')
    self.assertEqual(
      source.claims(),
      {
        'inputs': {
          str(path): {
            'name': 'toy/1.0.0',
            'split': 'train',
            'images': 3,
            'classes': 2,
            'image_shape': [None, None, 3],
          }
        },
        'notes': [],
      },
    )
    json.dumps(source.claims())

  def test_numbers_are_padded_and_minus_one_is_nobody(self):
    path = self.write('a', [labelled(0, [10, 9, -1])], label=np.int64)
    source = TfdsSource([path])
    self.assertEqual(self.people(source), {0: '0000010', 1: '0000009', 2: None})
    self.assertEqual(source.path(2), '000000002.jpeg')

  def test_texts_are_names_and_may_stand_in_another_feature(self):
    path = self.write(
      'a',
      [[(4, {'label': 0, 'who': 'cy'})]],
      label=np.int64,
      extra={'who': tfds.features.Text()},
    )
    source = TfdsSource([path], label_feature='who')
    self.assertEqual(self.people(source), {4: 'cy'})

  def test_names_beside_the_records_go_before_numbers(self):
    path = self.write(
      'a', [labelled(0, [1, 0])], label=class_label(num_classes=2)
    )
    self.assertEqual(
      self.people(TfdsSource([path])), {0: '0000001', 1: '0000000'}
    )
    (path / 'identities.txt').write_text('ann\nbob\n')
    self.assertEqual(self.people(TfdsSource([path])), {0: 'bob', 1: 'ann'})
    (path / 'identities.txt').write_text('ann\n')
    with self.assertRaisesRegex(DataError, 'label 1, but there are 1 names'):
      TfdsSource([path])

  def test_keys_keep_the_names_of_the_files(self):
    path = self.write(
      'a',
      [[(0, {'label': 0, 'key': 'ann/x 1.jpg'}), (1, {'label': 0, 'key': ''})]],
      label=class_label(names=['ann', 'bob']),
      extra={'key': tfds.features.Text()},
    )
    source = TfdsSource([path])
    self.assertEqual(
      [source.path(i) for i in range(2)], ['ann/x 1.jpg', 'ann/000000001.jpeg']
    )

  def test_real_names_of_several_inputs_merge_and_numbers_do_not(self):
    inputs = [
      self.write(
        'a', [labelled(0, [0, 1])], label=class_label(names=['x', 'y'])
      ),
      self.write(
        'b', [labelled(2, [0, 1])], label=class_label(names=['y', 'z'])
      ),
      self.write('c', [labelled(4, [0, 1])], label=np.int64),
      self.write('d', [labelled(6, [1])], label=np.int64),
    ]
    source = TfdsSource(inputs)
    self.assertEqual(
      self.people(source),
      {
        0: 'x',
        1: 'y',
        2: 'y',
        3: 'z',
        4: 'input2_0000000',
        5: 'input2_0000001',
        6: 'input3_0000001',
      },
    )
    self.assertEqual(
      [source.input_of(i) for i in range(7)], [0, 0, 1, 1, 2, 2, 3]
    )

  @parameterized.parameters(
    ('test', [6, 7]),
    ('train+test', [0, 1, 2, 3, 4, 5, 6, 7]),
    ('train[1:5]', [1, 2, 3, 4]),
    ('train[50%:]', [3, 4, 5]),
  )
  def test_split_may_be_any_that_the_library_knows(self, split, expected):
    path = self.write(
      'a',
      {
        'train': [labelled(0, [0] * 3), labelled(3, [1] * 3)],
        'test': [labelled(6, [0, 1])],
      },
      label=np.int64,
    )
    source = TfdsSource([path], split=split)
    self.assertEqual(list(self.people(source)), expected)

  def test_fingerprint_changes_with_the_labels_alone(self):
    label = class_label(names=['x', 'y'])
    path = self.write('a', [labelled(0, [0, 1])], label=label)
    first = TfdsSource([path]).fingerprint()
    self.assertEqual(TfdsSource([path]).fingerprint(), first)
    shutil.rmtree(path)
    self.write('a', [labelled(0, [1, 0])], label=label)
    self.assertNotEqual(TfdsSource([path]).fingerprint(), first)

  def test_unfit_inputs_are_refused_with_what_to_do(self):
    path = self.write(
      'a',
      [labelled(0, [0, 1])],
      label=tfds.features.Tensor(shape=(), dtype=np.int64),
    )
    for options, message in (
      ({'split': 'valid'}, "no split 'valid'.*it has train"),
      ({'split': 'train[a'}, "no split 'train\\[a'"),
      ({'image_feature': 'face'}, "no feature 'face': it has image, label"),
      ({'label_feature': 'who'}, "no feature 'who'.*--label_feature"),
      ({'image_feature': 'label'}, "'label' is of kind .*, not Image"),
      ({'label_feature': 'image'}, "'image' is of kind Image, not a class"),
    ):
      with self.assertRaisesRegex(DataError, message):
        TfdsSource([path], **options)
    for inputs, error, message in (
      ([], UsageError, 'no input'),
      ([path, path], UsageError, 'twice'),
      ([self.root], DataError, 'folder of one version'),
      (['gs://bucket/a'], DataError, 'local disk only'),
    ):
      with self.assertRaisesRegex(error, message):
        TfdsSource(inputs)

  def test_tfrecord_says_how_to_prepare_it_anew(self):
    path = self.write('a', [labelled(0, [0])], label=np.int64)
    info = json.loads((path / 'dataset_info.json').read_text())
    info['fileFormat'] = 'tfrecord'
    (path / 'dataset_info.json').write_text(json.dumps(info))
    with self.assertRaisesRegex(DataError, "file_format='array_record'"):
      TfdsSource([path])

  def test_broken_metadata_and_shards_are_data_errors(self):
    path = self.write('a', [labelled(0, [0, 1])], label=np.int64)
    (shard,) = path.glob('*array_record*')
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with self.assertRaisesRegex(DataError, 'is corrupt'):
      TfdsSource([path])
    shard.unlink()
    with self.assertRaisesRegex(DataError, 'is missing'):
      TfdsSource([path])
    for name in ('features.json', 'dataset_info.json'):
      text = (path / name).read_text()
      (path / name).write_text('{')
      with self.assertRaisesRegex(DataError, 'cannot be read'):
        TfdsSource([path])
      (path / name).write_text(text)

  def test_corrupt_record_has_no_person_and_says_so_when_read(self):
    noise = np.random.default_rng(0).bytes(3000)  # stored as it is
    path = self.write(
      'a',
      [[(0, {'label': 3}), (noise, {'label': 4}), (2, {'label': 5})]],
      label=np.int64,
    )
    (shard,) = path.glob('*array_record*')
    data = bytearray(shard.read_bytes())
    at = data.index(noise[1000:1100])
    data[at : at + 8] = bytes(8)
    shard.write_bytes(data)
    source = TfdsSource([path])
    self.assertLen(source.labels, 3)
    self.assertEqual(source.labels.tolist(), [0, -1, 1])
    self.assertEqual(source.identities, ['0000003', '0000005'])
    with self.assertRaisesRegex(DataError, 'record 1 of .* is corrupt'):
      source.read(1)
    self.assertEqual(source.read(2), jpeg(2))

  def test_tensorflow_is_never_imported(self):
    path = self.write('a', [labelled(0, [3])], label=np.int64)
    code = (
      'import sys; from facejax.preparation.tfds_source import TfdsSource; '
      f'TfdsSource([{str(path)!r}]).read(0); print("tensorflow" in sys.modules)'
    )
    result = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    self.assertEqual(result.stdout.strip(), 'False')


if __name__ == '__main__':
  absltest.main()
