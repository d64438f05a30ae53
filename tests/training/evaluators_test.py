import chex
import numpy as np
from absl.testing import parameterized

from facejax.errors import DataError, UsageError
from facejax.training.evaluators import make_evaluators

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
  return (
    np.asarray(images, np.float32)[:, ::16, ::16].reshape(len(images), -1)
    - 127.5
  )


class EvaluatorsTest(chex.TestCase):
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
    ({'kind': 'pair'}, "evaluators.x.kind='pair': use pairs or synthetic"),
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

  def test_data_that_are_not_there_are_refused(self):
    with self.assertRaisesRegex(DataError, 'no/list'):
      make_evaluators(
        {'x': {'kind': 'pairs', 'data': 'no/data', 'pairs': 'no/list'}}
      )
