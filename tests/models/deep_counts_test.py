"""Parameters of the deep nets, with and without their papers' classifiers."""

import chex
import pytest
from absl.testing import parameterized

from facejax.models import get_model
from facejax.models.counts import count_model
from tests.models.small_deep import SMALL

# name, parameters, folded parameters, multiply-adds, at the default size.
WHOLE = (
  ('vgg16', 134_260_544, 134_260_544, 15_466_168_320),
  ('sphereface4', 12_562_496, 12_562_496, 164_290_560),
  ('sphereface10', 15_219_264, 15_219_264, 758_833_152),
  ('sphereface20', 22_670_656, 22_670_656, 1_749_737_472),
  ('sphereface36', 32_778_816, 32_778_816, 3_335_184_384),
  ('sphereface64', 48_200_512, 48_200_512, 6_109_716_480),
  ('ir18', 24_017_536, 24_014_656, 2_597_109_760),
  ('ir34', 34_127_552, 34_122_816, 4_446_797_824),
  ('ir50', 43_574_976, 43_568_192, 6_296_485_888),
  ('ir100', 65_129_792, 65_117_760, 12_076_761_088),
  ('ir_se18', 24_104_576, 24_101_696, 2_597_196_800),
  ('ir_se34', 34_284_736, 34_280_000, 4_446_955_008),
  ('ir_se50', 43_797_696, 43_790_912, 6_296_708_608),
  ('ir_se100', 65_502_016, 65_489_984, 12_077_133_312),
  ('iresnet18', 24_025_600, 24_020_736, 2_609_954_816),
  ('iresnet34', 34_139_328, 34_130_752, 4_459_642_880),
  ('iresnet50', 43_590_848, 43_578_176, 6_309_330_944),
  ('iresnet100', 65_156_160, 65_132_992, 12_089_606_144),
  ('lightcnn9', 5_480_864, 5_480_864, 976_748_544),
  ('lightcnn29', 12_573_280, 12_573_280, 3_619_160_064),
  ('lightcnn29_v2', 10_475_872, 10_475_872, 3_617_062_912),
  ('resnet_mfm', 15_228_032, 15_228_032, 1_820_872_704),
  ('lenet5', 426_070, 426_070, 2_288_000),
  ('alexnet', 56_868_224, 56_868_224, 720_310_816),
)


class DeepCountsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _rows(self, listed_models):
    rows = listed_models[0]['models']
    self.rows = {row['name']: row for row in rows if not row['fields']}

  @parameterized.parameters(*WHOLE)
  def test_counts_are_those_of_the_family(self, name, *counts):
    row = self.rows[name]
    names = ('parameters', 'folded_parameters', 'multiply_adds')
    self.assertEqual(tuple(row[name] for name in names), counts)

  @parameterized.parameters(
    ('vgg16', 2_622, True, 145_002_878),
    ('vgg16', 10_575, True, 177_586_319),
    ('sphereface20', 10_572, False, 28_083_520),
    ('sphereface64', 10_572, False, 53_613_376),
    ('lenet5', 10, True, 431_080),
    ('alexnet', 1_000, True, 60_965_224),
  )
  def test_with_its_classifier_it_is_as_large_as_published(
    self, name, classes, is_biased, parameters
  ):
    row = self.rows[name]
    classifier = classes * (row['embedding_size'] + is_biased)
    self.assertEqual(row['parameters'] + classifier, parameters)

  @parameterized.parameters(((112, 112), 4 * 4), ((112, 96), 4 * 3))
  def test_vgg_covers_the_map_of_any_image(self, image_size, positions):
    whole = count_model(get_model('vgg16')).parameters
    small = count_model(get_model('vgg16', image_size=image_size)).parameters
    self.assertEqual(whole - small, (7 * 7 - positions) * 512 * 4096)

  def test_every_deep_net_has_a_small_form_and_its_count_is_pinned(self):
    self.assertEqual(set(SMALL), {name for name, *_ in WHOLE})
    for name, fields in SMALL.items():
      self.assertLess(
        count_model(get_model(name, **fields)).parameters, 200_000
      )
