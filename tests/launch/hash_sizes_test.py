"""launch.hash_sizes: the table on stderr, the rows as JSON."""

import json

import chex
import pytest
from absl import flags
from absl.testing import flagsaver

from facejax.errors import UsageError
from facejax.training.hash_designs import FORMS
from launch import hash_sizes


def _run(argv=(), **values):
  given = dict.fromkeys(
    ('model_name', 'form', 'hash_bits', 'classes', 'classifier_bias')
  )
  with flagsaver.flagsaver(**given | values):
    return hash_sizes.main(list(argv))


class HashSizesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _capfd(self, capfd):
    self.capfd = capfd

  def test_the_papers_nets_stand_beside_what_it_prints(self):
    rows = {row['label']: row for row in _run()['nets']}
    self.assertLen(rows, 8)
    self.assertEqual(rows['VGG']['bytes']['with_classifier'], 710_345_276)
    self.assertEqual(
      json.loads(json.dumps(rows, allow_nan=False))['VGG']['printed'],
      '710.3 MB',
    )
    self.assertIn('| **710.345** |', self.capfd.readouterr().err)

  def test_a_net_of_ones_own(self):
    (row,) = _run(
      model_name='alexnet',
      form='hash_alone',
      hash_bits=64,
      classes=100,
      classifier_bias=True,
    )['nets']
    trunk = 2_399_744 - (512 * 128 + 128)
    net = trunk + 512 * 64 + 64
    self.assertEqual(row['bytes']['without_classifier'], 4 * net)
    self.assertEqual(row['bytes']['with_classifier'], 4 * (net + 100 * 65))
    self.assertIn(
      '| alexnet hash_alone | hash alone | 64 | 100 x 64 + bias |',
      self.capfd.readouterr().err,
    )

  def test_the_flag_knows_the_forms(self):
    self.assertEqual(flags.FLAGS['form'].parser.enum_values, list(FORMS))

  def test_flags_of_a_net_without_its_name_are_refused(self):
    with self.assertRaisesRegex(UsageError, '--form is of a net of your own'):
      _run(form='usual')
    with self.assertRaisesRegex(UsageError, "unexpected argument 'vgg16'"):
      _run(['vgg16'])
