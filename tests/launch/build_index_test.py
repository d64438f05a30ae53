"""launch.build_index and launch.search: the commands as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import chex
import numpy as np
import pytest
from absl.testing import absltest, flagsaver

from facejax.checkpoint.model_directory import write_model_directory
from facejax.data.images import encode_png
from facejax.errors import CheckpointError, DataError, UsageError
from facejax.inference.description import describe_model
from facejax.search.index import FaceIndex
from facejax.search.results import Probes
from launch import build_index, search
from tests.conftest import REPOSITORY
from tests.evaluation import faces
from tests.inference import tiny_model


def run(module, *arguments, **options):
  """Runs a command in a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', f'launch.{module}', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
    **options,
  )


class CommandsTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.root = self.create_tempdir().full_path
    self.model = self.path('model')
    self.index = self.path('index')
    self.data = os.path.join(faces.write_folder(self.root, 'data'), 'data')

  def path(self, *names):
    return os.path.join(self.root, *names)

  def write(self, name, text):
    with open(self.path(name), 'w') as file:
      file.write(text)
    return self.path(name)

  def build(self, **changes):
    changes = {'output': self.index, 'batch_size': 8} | changes
    with flagsaver.flagsaver(**changes):
      return build_index.main([])

  def search(self, **changes):
    changes = {'index': self.index, 'images': self.data, 'batch_size': 8} | (
      changes
    )
    with flagsaver.flagsaver(**changes):
      result = search.main([])
    json.dumps(result, allow_nan=False)
    return result


def write_hash_model(path, bits=32):
  """A tiny model with a hash layer."""
  variables = tiny_model.make_variables(hash_bits=bits)
  description = describe_model(
    variables,
    architecture='tiny',
    fields={'image_size': (32, 32), 'hash_bits': bits},
    preprocessing=tiny_model.PREPROCESSING,
  )
  write_model_directory(path, description=description, variables=variables)


class WithHashTest(CommandsTestCase):
  """A model with a hash layer: codes and vectors."""

  def setUp(self):
    super().setUp()
    write_hash_model(self.model)

  def test_faces_are_looked_up_in_two_stages_and_go_to_faiss(self):
    file = self.path('codes.faiss')
    result = self.build(model=self.model, images=self.data, faiss=file)
    self.assertEqual((result['bits'], result['num_templates']), (32, 24))
    self.assertEqual(result['bytes_per_template'], 4 + 2 * 24)
    found = self.search(recall=True, top_k=3)
    self.assertEqual((found['method'], found['rank1']), ('two_stage', 1.0))
    self.assertEqual(list(found['recall']), ['1', '2', '5', '10', '20', '24'])
    self.assertEqual(found['recall']['24'], 1)
    self.assertEqual(found['results'][0]['answers'][0]['distance'], 0)
    self.assertEqual(self.search(radius=0)['full_searches'], 0)

    back = self.path('back')
    self.build(from_faiss=file, output=back)
    index, again = FaceIndex.open(self.index), FaceIndex.open(back)
    np.testing.assert_array_equal(index.snapshot.codes, again.snapshot.codes)
    self.assertEqual(list(index.snapshot.names), list(again.snapshot.names))
    with self.assertRaisesRegex(UsageError, 'whose model is not known'):
      self.search(index=back)
    with self.assertRaisesRegex(UsageError, 'has no vectors'):
      self.search(index=back, recall=True)

  def test_codes_alone_are_enough(self):
    self.build(model=self.model, images=self.data, vectors='none')
    found = self.search()
    self.assertEqual((found['method'], found['rank1']), ('hamming', 1.0))

  def test_another_hash_layer_is_another_model(self):
    self.build(model=self.model, images=self.data)
    tiny_model.write(self.path('other'))
    with self.assertRaisesRegex(UsageError, 'another model'):
      self.search(model=self.path('other'))


class WithoutHashTest(CommandsTestCase):
  """A model without a hash layer: vectors alone."""

  def setUp(self):
    super().setUp()
    tiny_model.write(self.model)

  def test_faces_are_enrolled_added_removed_and_looked_up(self):
    with open(self.path('data', 'P0', 'P0_0001.jpg'), 'wb') as file:
      file.write(b'no image')
    small = np.zeros((64, 64, 3), np.uint8)
    with open(self.path('data', 'P1', 'P1_0001.png'), 'wb') as file:
      file.write(encode_png(small))
    result = self.build(model=self.model, images=self.data)
    self.assertEqual(result['num_templates'], 23)
    self.assertEqual(result['num_people'], faces.NUM_PEOPLE)
    self.assertEqual(result['num_added'], 23)
    self.assertEqual(result['num_rejected'], 2)
    self.assertEqual((result['bits'], result['vectors']), (0, 'float16'))
    self.assertEqual(result['bytes_per_template'], 2 * 24)
    with open(self.path('index', 'rejected.tsv')) as file:
      lines = file.read().splitlines()
    self.assertStartsWith(lines[0], 'P0/P0_0001.jpg\t')
    self.assertRegex(lines[1], '^P1/P1_0001.png\t.*64x64')

    # What is there is not read again; what was mended is added.
    with open(self.path('data', 'P0', 'P0_0001.jpg'), 'wb') as file:
      file.write(faces.encode_jpeg(faces.crop(0, 0)))
    result = self.build(images=self.data, add=True)
    self.assertEqual((result['num_added'], result['num_present']), (1, 23))
    self.assertEqual(result['num_templates'], 24)

    found = self.search(output=self.path('answers.json'), top_k=2)
    self.assertEqual(found['num_probes'], 24)
    self.assertEqual((found['num_mated'], found['rank1']), (24, 1.0))
    self.assertEqual(found['method'], 'float')
    self.assertLen(found['results'], 10)
    first = found['results'][0]
    self.assertEqual(first['probe'], 'P0/P0_0001.jpg')
    self.assertEqual(first['answers'][0]['name'], 'P0/P0_0001.jpg')
    self.assertAlmostEqual(first['answers'][0]['score'], 1, places=3)
    self.assertNotEqual(first['answers'][1]['person'], 'P0')
    for part in ('extraction', 'stage_2', 'search'):
      names = [name for name in found['timings'] if name.startswith(part)]
      self.assertGreater(found['timings'][names[0]], 0)
    with open(self.path('answers.json')) as file:
      self.assertLen(json.load(file)['results'], 24)

    gone = self.write('gone.txt', 'P0\nP1/P1_0002.jpg\n')
    size = result['bytes']
    result = self.build(remove=gone, compact=True)
    self.assertEqual(result['num_removed'], 5)
    self.assertEqual(result['num_templates'], 19)
    self.assertLess(result['bytes'], size)
    found = self.search()
    self.assertEqual((found['num_probes'], found['num_mated']), (24, 20))
    FaceIndex.open(self.index).check()

  def test_strangers_calibrate_the_answer_unknown(self):
    os.makedirs(self.path('few'))
    for person in ('P0', 'P1', 'P2'):
      os.rename(self.path('data', person), self.path('few', person))
    self.build(model=self.model, images=self.path('few'))
    with self.assertRaisesRegex(UsageError, 'no calibration'):
      self.search(fpir=0.25)
    with self.assertRaisesRegex(UsageError, "'P0' is in the index"):
      self.build(calibration=self.path('few'))
    result = self.build(calibration=self.data)
    self.assertEqual(result['calibration']['probes'], 12)
    self.assertEqual(result['calibration']['people'], 3)
    found = self.search(fpir=0.25)
    self.assertBetween(found['num_unknown'], 9, 12)
    self.assertIsNone(found['rank1'])
    self.assertIn('unknown', found['results'][0])
    with self.assertRaisesRegex(UsageError, 'smallest rate is 0.083'):
      self.search(fpir=0.01)

  def test_codes_that_are_asked_for_are_refused(self):
    for flags in ({'vectors': 'none'}, {'faiss': self.path('codes')}):
      with self.assertRaisesRegex(UsageError, 'launch.add_hash'):
        self.build(model=self.model, images=self.data, **flags)
    for flags in ({'method': 'hamming'}, {'recall': True}):
      with self.assertRaisesRegex(UsageError, 'launch.add_hash'):
        self.search(**flags)

  def test_another_model_is_refused(self):
    self.build(model=self.model, images=self.data)
    other = self.path('other')
    tiny_model.write(other, golden_seed=1)
    with self.assertRaisesRegex(UsageError, 'another model'):
      self.build(model=other, images=self.data, add=True)
    with self.assertRaisesRegex(UsageError, 'another model'):
      self.search(model=other)
    # The same model elsewhere is the same.
    os.rename(self.model, self.path('moved'))
    with self.assertRaisesRegex(CheckpointError, 'no such model'):
      self.search()
    self.search(model=self.path('moved'))

  def test_flags_that_do_not_go_together_are_refused(self):
    self.build(model=self.model, images=self.data)
    for message, flags in (
      ('--output is missing', {'output': None, 'images': self.data}),
      ('--add adds to it', {'images': self.data, 'model': self.model}),
      ('--add is of --images', {'add': True}),
      ('nothing to do', {}),
      ('leave images out', {'from_faiss': 'x', 'images': self.data}),
      ('--remove is of an index', {'remove': 'x', 'images': self.data}),
      (
        '--model is missing',
        {'images': self.data, 'output': self.path('new')},
      ),
    ):
      with self.subTest(message), self.assertRaisesRegex(UsageError, message):
        self.build(**flags)
    with self.assertRaisesRegex(UsageError, 'unexpected argument'):
      build_index.main(['x'])
    with self.assertRaisesRegex(DataError, "has no 'P9'"):
      self.build(remove=self.write('gone.txt', 'P1\nP9\n'))
    with self.assertRaisesRegex(DataError, 'is no index'):
      self.build(compact=True, output=self.path('none'))
    self.assertFalse(os.path.exists(self.path('new')))
    self.assertLen(FaceIndex.open(self.index), 24)
    for message, flags in (
      ('give --index', {'index': None}),
      ('already exists', {'output': self.path('gone.txt')}),
      ('is a folder', {'output': self.data}),
      ("method='x'", {'method': 'x'}),
    ):
      with self.subTest(message), self.assertRaisesRegex(UsageError, message):
        self.search(**flags)

  def test_bad_input_is_one_line_and_an_exit_code(self):
    for module, code, arguments in (
      ('build_index', 2, ('--images=x',)),
      ('build_index', 1, ('--images=/nowhere', '--output=x', '--model=m')),
      ('search', 1, ('--index=/nowhere', '--images=/nowhere')),
    ):
      done = run(module, *arguments)
      self.assertEqual(done.returncode, code, done.stderr)
      self.assertLen(done.stderr.strip().split('\n'), 1, done.stderr)
      self.assertStartsWith(done.stderr, 'error: ')
      self.assertEmpty(done.stdout)


def write_lfw(shared, path, *, people, images):
  """A zip of the first images of some people of LFW."""
  with (
    zipfile.ZipFile(os.path.join(shared, 'faces/lfw_112.zip')) as source,
    zipfile.ZipFile(path, 'w') as target,
  ):
    files = {}
    for name in sorted(n for n in source.namelist() if n.endswith('.jpg')):
      files.setdefault(name.split('/')[-2], []).append(name)
    several = [p for p in sorted(files) if len(files[p]) >= images]
    for person in several[people]:
      for name in files[person][:images]:
        target.writestr('/'.join(name.split('/')[-2:]), source.read(name))
  return path


@pytest.fixture(scope='module')
def lfw(shared, tmp_path_factory, imported_net):
  """40 people of LFW, two images each; 20 others; the net that embeds them."""
  root = tmp_path_factory.mktemp('lfw')
  enrolled = write_lfw(shared, root / 'a.zip', people=slice(40), images=2)
  others = write_lfw(shared, root / 'b.zip', people=slice(40, 60), images=2)
  return root, enrolled, others, str(imported_net.directory.path)


def test_real_faces_are_found_and_strangers_are_not(lfw):
  root, enrolled, others, model = lfw
  index = str(root / 'index')
  with flagsaver.flagsaver(
    model=model,
    images=str(enrolled),
    calibration=str(others),
    output=index,
    vectors='int8',
    batch_size=20,
  ):
    result = build_index.main([])
  assert (result['num_templates'], result['num_people']) == (80, 40)
  assert result['bytes_per_template'] == 128 + 4
  done = run(
    'search',
    f'--index={index}',
    f'--images={others}',
    '--fpir=0.1',
    '--batch_size=20',
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout.splitlines()[-1])
  assert found['num_probes'] == 40
  assert found['num_unknown'] >= 36
  assert '30 more probes' in done.stderr
  # The second image of everybody is the nearest after the image itself.
  opened = FaceIndex.open(index)
  rows = np.asarray(opened.snapshot.vectors.values, np.float32)
  rows *= np.asarray(opened.snapshot.vectors.factors)[:, None]
  best = opened.search(Probes(rows), top_k=2, by_person=False)
  people = np.asarray(best.people)
  assert np.mean(people[:, 0] == people[:, 1]) > 0.9


def test_an_interrupted_command_goes_on_with_add(lfw):
  root, enrolled, _, model = lfw
  index = root / 'again'
  flags = [f'--images={enrolled}', f'--output={index}', '--batch_size=1']
  command = [sys.executable, '-m', 'launch.build_index', f'--model={model}']
  child = subprocess.Popen(
    [*command, *flags],
    cwd=REPOSITORY,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  # The index is there before the first image is read.
  deadline = time.monotonic() + 60
  while not (index / 'lock').exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  child.send_signal(signal.SIGINT)
  _, errors = child.communicate()
  assert child.returncode == 130, errors
  assert errors.strip().endswith('error: interrupted')
  done = run('build_index', '--add', *flags[:2], '--batch_size=20')
  assert done.returncode == 0, done.stderr
  result = json.loads(done.stdout.splitlines()[-1])
  assert result['num_templates'] == 80
  assert result['num_added'] + result['num_present'] == 80
  FaceIndex.open(index).check()


if __name__ == '__main__':
  absltest.main()
