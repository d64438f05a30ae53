import chex
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.models import get_model
from facejax.models.counts import count_model
from facejax.models.stages import stage_units

PUBLISHED = {4: (0, 0), 10: (1, 2)}


class StageUnitsTest(chex.TestCase):
  def test_units_that_are_given_win_over_those_of_the_depth(self):
    self.assertEqual(stage_units(10, None, PUBLISHED), (1, 2))
    self.assertEqual(stage_units(10, (3, 0), PUBLISHED), (3, 0))

  @parameterized.parameters(
    (5, None, 'depth 5: use one of 4, 10'),
    (10, (1,), r'units \(1,\): use 2 numbers'),
    (10, (1, -1), r'units \(1, -1\): use 2 numbers'),
  )
  def test_what_no_net_has_is_refused(self, depth, units, message):
    with self.assertRaisesRegex(UsageError, message):
      stage_units(depth, units, PUBLISHED)

  @parameterized.parameters(
    'sphereface20', 'ir50', 'iresnet50', 'lightcnn29', 'resnet_mfm'
  )
  def test_every_family_checks_its_units(self, name):
    with self.assertRaisesRegex(UsageError, 'use 4 numbers of 0 or more'):
      count_model(get_model(name, units=(1, 2, 3)))
