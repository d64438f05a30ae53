import chex
import numpy as np
import pytest
from absl.testing import parameterized

from facejax.errors import DataError, UsageError
from facejax.models.face_net import FaceOutputs
from facejax.training.evaluators import make_evaluators
from tests.evaluation import faces
from tests.preparation.face_sets import write_folder

DRAWN = {
  'kind': 'synthetic',
  'num_identities': 20,
  'images_per_identity': 2,
  'seed': 0,
  'first_identity': 50,
  'num_pairs': 20,
}


def _pixels(images):
  """An embedding that tells people apart by their colours."""
  pixels = np.asarray(images, np.float32)[:, ::16, ::16]
  return FaceOutputs(pixels.reshape(len(images), -1) - 127.5, None)


class EvaluatorsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.tmp_path = tmp_path

  def test_metrics_bear_the_name_of_their_evaluator(self):
    (evaluator,) = make_evaluators({'mine': DRAWN})
    measured = evaluator.run(_pixels)
    self.assertIn('evaluation/mine/accuracy', measured)
    self.assertBetween(measured['evaluation/mine/accuracy'], 0.5, 1)
    self.assertEqual(measured, evaluator.run(_pixels))

  @parameterized.parameters((0, []), (2, [2, 4, 6]), (3, [3, 6]), (7, []))
  def test_it_is_due_every_so_many_steps(self, every, expected):
    (evaluator,) = make_evaluators({'x': DRAWN | {'every_steps': every}})
    due = [step for step in range(1, 7) if evaluator.due(step)]
    self.assertEqual(due, expected)

  def test_they_keep_the_order_of_the_config(self):
    names = [e.name for e in make_evaluators({'b': DRAWN, 'a': DRAWN})]
    self.assertEqual(names, ['b', 'a'])

  @parameterized.parameters(
    (
      {'kind': 'pair'},
      "evaluators.x.kind='pair': use pairs or synthetic or identification",
    ),
    ({}, 'evaluators.x.kind=None: use'),
    (DRAWN | {'sead': 1}, r"evaluators.x \(synthetic\): .*argument 'sead'"),
    ({'kind': 'synthetic'}, 'missing a required argument'),
    ({'kind': 'pairs', 'pairs': 'x'}, "required argument: 'data'"),
    (DRAWN | {'every_steps': -1}, 'every_steps=-1: use 0'),
    (DRAWN | {'mode': 'centred'}, 'centred'),
    (DRAWN | {'mode': 'spherface'}, 'spherface'),
  )
  def test_what_cannot_be_is_refused_by_name(self, fields, message):
    with self.assertRaisesRegex(UsageError, message):
      make_evaluators({'x': fields})

  def test_held_out_people_are_identified(self):
    folder = faces.write_folder(str(self.tmp_path))
    fields = {'kind': 'identification', 'data': folder}
    (evaluator,) = make_evaluators({'people': fields}, trained_on=['sam'])
    measured = evaluator.run(_pixels)
    self.assertEqual(measured['evaluation/people/rank1'], 1.0)
    self.assertGreater(measured['evaluation/people/loss'], 0)

  def test_people_of_the_training_are_not_held_out(self):
    folder = write_folder(self.tmp_path, {'ann': 3, 'bob': 2, 'eve': 1})
    fields = {'kind': 'identification', 'data': str(folder)}
    with self.assertRaisesRegex(
      DataError, 'evaluators.people: ann and 1 more are training people'
    ):
      make_evaluators({'people': fields}, trained_on=['eve', 'ann', 'sam'])

  def test_data_that_are_not_there_are_refused(self):
    with self.assertRaisesRegex(DataError, 'no/list'):
      make_evaluators(
        {'x': {'kind': 'pairs', 'data': 'no/data', 'pairs': 'no/list'}}
      )
