"""All metrics have one address."""

import chex
from absl.testing import absltest

from facejax.evaluation import folds, metrics, rates


class MetricsTest(chex.TestCase):
  def test_every_name_is_that_of_its_module(self):
    for name in metrics.__all__:
      homes = [m for m in (folds, rates) if name in vars(m)]
      self.assertTrue(
        all(getattr(metrics, name) is vars(m)[name] for m in homes), name
      )

  def test_the_metrics_of_verification_are_there(self):
    for name in ('roc', 'tar_at_far', 'kfold_accuracy', 'auc', 'eer'):
      self.assertIn(name, metrics.__all__)


if __name__ == '__main__':
  absltest.main()
