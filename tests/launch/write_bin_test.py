"""launch.write_bin: from a folder and a list to what other tools read."""

import os
import pickle

import chex
from absl.testing import absltest, flagsaver, parameterized

from facejax.errors import DataError, UsageError
from launch import write_bin
from tests.evaluation import faces


class WriteBinTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    self.data = os.path.join(faces.write_folder(self.root, 'data'), 'data')
    self.pairs = faces.write_lfw_list(os.path.join(self.root, 'pairs.txt'))
    self.output = os.path.join(self.root, 'out', 'set.bin')

  def run_with(self, **flags):
    given = {
      'data': self.data,
      'pairs': self.pairs,
      'output': self.output,
      'overwrite': False,
    }
    with flagsaver.flagsaver(**given | flags):
      return write_bin.main([])

  def test_folder_and_list_become_one_file(self):
    result = self.run_with()
    self.assertEqual(
      result,
      {
        'num_pairs': 36,
        'num_images': 24,
        'bytes': os.path.getsize(self.output),
        'output': self.output,
      },
    )
    with open(self.output, 'rb') as file:
      images, same = pickle.load(file, encoding='bytes')
    self.assertEqual(same, ([True] * 9 + [False] * 9) * 2)
    for place, name in ((0, 'P0_0001'), (1, 'P0_0002'), (71, 'P3_0003')):
      path = os.path.join(self.data, name[:2], f'{name}.jpg')
      with open(path, 'rb') as file:
        self.assertEqual(images[place], file.read())

  def test_a_file_that_is_there_is_replaced_only_on_demand(self):
    self.run_with()
    with self.assertRaisesRegex(UsageError, 'set.bin already exists'):
      self.run_with()
    list_of_two = os.path.join(self.root, 'two.txt')
    with open(list_of_two, 'w') as file:
      file.write('P0/P0_0001.jpg P0/P0_0002.jpg 1\n')
      file.write('P0/P0_0001.jpg P1/P1_0002.jpg 0\n')
    result = self.run_with(pairs=list_of_two, overwrite=True)
    self.assertEqual((result['num_pairs'], result['num_images']), (2, 3))

  @parameterized.parameters(
    ({'data': None}, UsageError, '--data is missing'),
    ({'pairs': None}, UsageError, '--pairs is missing'),
    ({'output': None}, UsageError, '--output is missing'),
    ({'output': 'x.zip'}, UsageError, 'name a file that ends with .bin'),
    ({'data': '/nowhere'}, DataError, '/nowhere does not exist'),
    ({'pairs': '/nowhere.txt'}, DataError, 'the list cannot be read'),
  )
  def test_bad_input_leaves_nothing(self, flags, kind, message):
    with self.assertRaisesRegex(kind, message):
      self.run_with(**flags)
    self.assertFalse(os.path.exists(self.output))

  def test_a_stray_argument_is_refused(self):
    with self.assertRaisesRegex(UsageError, "unexpected argument 'x'"):
      write_bin.main(['x'])


if __name__ == '__main__':
  absltest.main()
