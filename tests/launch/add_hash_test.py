"""The command that adds a hash layer."""

import os

import chex
import pytest
from absl.testing import absltest, flagsaver, parameterized

import facejax
from facejax.errors import UsageError
from launch import add_hash
from tests.inference.tiny_model import random_faces


class AddHashTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _use_run(self, trained, face_set):
    self.model = str(trained.workdir / 'model')
    self.data = str(face_set)

  def setUp(self):
    super().setUp()
    self.output = os.path.join(self.create_tempdir().full_path, 'hashed')

  def _run(self, *argv, **values):
    values = {'model': self.model, 'output': self.output, **values}
    with flagsaver.flagsaver(**values):
      return add_hash.main(list(argv))

  def test_a_trained_model_hashes(self):
    result = self._run(
      data=self.data, hash_bits=32, hash_steps=10, hash_learning_rate=0.02,
      batch_size=44,
    )  # fmt: skip
    self.assertEqual(result['method'], 'trained')
    self.assertEqual(result['model_dir'], self.output)
    self.assertEqual(result['hash_bits'], 32)
    self.assertEqual(result['settings']['steps'], 10)
    self.assertEqual(result['settings']['learning_rate'], 0.02)
    self.assertEqual(result['held_out']['num_identities'], 3)
    self.assertEqual(result['num_images'], 44)
    self.assertGreater(result['seconds']['embedding'], 0)
    model = facejax.load_model(self.output)
    self.assertEqual(model.hash(random_faces(3)).shape, (3, 4))

  def test_the_signs_of_the_embedding_need_no_faces(self):
    result = self._run(method='sign')
    model = facejax.load_model(self.output)
    self.assertEqual(result['hash_bits'], model.embedding_size)
    self.assertNotIn('bits', result)

  @parameterized.parameters(
    ({'output': None}, '--model and --output are needed'),
    ({'method': 'itq'}, 'give --data'),
    ({'method': 'random', 'hash_steps': 5}, '--hash_steps is of'),
    ({'method': 'random', 'itq_iterations': 5}, '--itq_iterations is of'),
    ({'method': 'sign', 'seed': 1}, 'draws nothing'),
    ({'method': 'best'}, '--method=best: use one of'),
  )
  def test_what_cannot_be_is_refused(self, values, message):
    with self.assertRaisesRegex(UsageError, message):
      self._run(**values)
    self.assertFalse(os.path.exists(self.output))

  def test_an_argument_is_refused(self):
    with self.assertRaisesRegex(UsageError, "unexpected argument 'x'"):
      self._run('x')


if __name__ == '__main__':
  absltest.main()
