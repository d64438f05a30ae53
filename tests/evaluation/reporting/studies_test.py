"""Groups of people and damaged images as tables of a page."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.reporting import damage_tables, group_tables
from facejax.evaluation.reporting.findings import Section
from facejax.evaluation.studies.attributes import rates_by_group
from facejax.evaluation.verification import verify_pairs


def rates(genuine, impostors, *, tar, fmr, accuracy=0.9):
  """JSON values of a group at FAR 1e-1 and 1e-2."""
  fars = ('1e-1', '1e-2')
  return {
    'num_images': 7,
    'num_pairs': genuine + impostors,
    'num_genuine': genuine,
    'num_impostors': impostors,
    'smallest_far': 1 / impostors if impostors else None,
    'accuracy': accuracy,
    'interval_95': None if accuracy is None else [0.85, 0.95],
    'balanced_accuracy': accuracy,
    'tar_at_far': dict.fromkeys(fars, tar),
    'tar_intervals_95': dict.fromkeys(fars, tar and [0.5, 1.0]),
    'fmr_at_far': dict.fromkeys(fars, fmr),
    'fmr_intervals_95': dict.fromkeys(fars, fmr and [0.0, 0.5]),
    'fmr_ratio_at_far': dict.fromkeys(fars, fmr and fmr / 0.01),
  }


def attribute(groups, unknown=0):
  """JSON values of an attribute."""
  counts = {'num_pairs': unknown, 'num_genuine': unknown, 'num_impostors': 0}
  apart = {'lowest': 'a', 'highest': 'b', 'gap': 0.01, 'max_to_min': 2.0}
  return {
    'groups': groups,
    'across': rates(100, 200, tar=0.9, fmr=0.01),
    'unknown': counts | {'num_images': unknown},
    'spread': {
      'balanced_accuracy': None,
      'fnmr_at_far': {'1e-2': apart | {'gap': 0.0}},
      'fmr_at_far': {'1e-2': apart, '1e-1': apart},
    },
  }


def table(found, name='plain'):
  """The only table of a result in one mode."""
  section = Section(name, name, {}, {'attributes': {'skin_tone': found}})
  (made,) = group_tables.make_group_tables([section])
  return made


class GroupTablesTest(chex.TestCase):
  def test_a_line_says_what_the_numbers_of_a_group_are(self):
    made = table(
      attribute(
        {
          'a': rates(100, 200, tar=0.95, fmr=0.015),
          'b': rates(100, 100, tar=0.9, fmr=0.02),
        },
        unknown=3,
      )
    )
    self.assertEqual((made.attribute, made.part), ('skin tone', 'plain'))
    self.assertEqual(made.far, '1e-2')
    names = [line.name for line in made.lines]
    self.assertEqual(names, ['a', 'b', 'across groups', 'unknown'])
    cells = dict(zip(group_tables.HEADS, made.lines[0].cells, strict=True))
    self.assertEqual(
      cells,
      {
        'Images': ('7', ''),
        'Genuine': ('100', ''),
        'Impostors': ('200', ''),
        'Accuracy': ('90.00%', '85.00 – 95.00%'),
        'Balanced accuracy': ('90.00%', ''),
        'TAR': ('95.00%', '50.00 – 100.00%'),
        'FMR': ('1.50%', '0.00 – 50.00%'),
        'FMR ratio': ('1.50', ''),
      },
    )
    self.assertEqual([line.few for line in made.lines[:3]], ['', '', ''])
    self.assertEqual(
      made.remarks,
      (
        'FMR: lowest of a, highest of b, 1.00 points apart, 2.00 times as high',
      ),
    )

  def test_small_groups_are_there_and_say_that_they_are(self):
    made = table(
      attribute(
        {
          'large': rates(100, 200, tar=0.9, fmr=0.01),
          'no impostors': rates(100, 0, tar=0.9, fmr=None),
          'few impostors': rates(100, 50, tar=0.9, fmr=0.0),
          'tiny': rates(2, 3, tar=None, fmr=None, accuracy=None),
          'larger': rates(100, 300, tar=0.9, fmr=0.01),
          'largest': rates(100, 400, tar=0.9, fmr=0.01),
        }
      )
    )
    self.assertEqual(made.far, '1e-2')
    self.assertEqual(
      {line.name: line.few for line in made.lines if line.few},
      {
        'no impostors': 'no impostor pairs',
        'few impostors': 'few impostor pairs',
        'tiny': 'few genuine pairs, few impostor pairs',
      },
    )
    tiny = dict(zip(group_tables.HEADS, made.lines[3].cells, strict=True))
    self.assertEqual(tiny['FMR'], ('–', ''))
    self.assertEqual(tiny['Impostors'], ('3', ''))

  def test_the_rate_is_one_that_half_of_the_groups_resolve(self):
    few = rates(50, 40, tar=0.9, fmr=0.1)
    many = rates(50, 100, tar=0.9, fmr=0.1)
    self.assertEqual(table(attribute({'a': few, 'b': many})).far, '1e-2')
    groups = {'a': few, 'b': few, 'c': many}
    self.assertEqual(table(attribute(groups)).far, '1e-1')

  def test_what_the_evaluation_writes_is_read(self):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(800, 8)).astype(np.float32)
    same, folds = np.arange(400) % 2 == 0, np.arange(400) // 40
    features[400:][same] = features[:400][same] + rng.normal(size=(200, 8))
    result = verify_pairs(
      features, None, np.arange(400), np.arange(400, 800), same, folds,
      mode='plain',
    )  # fmt: skip
    first, second = rng.integers(0, 2, (2, 400))
    found = rates_by_group(result, first, second, values=('x', 'y'))
    made = table(found)
    group = found['groups']['x']
    cells = dict(zip(group_tables.HEADS, made.lines[0].cells, strict=True))
    self.assertEqual(cells['Accuracy'][0], f'{group["accuracy"]:.2%}')
    self.assertEqual(cells['FMR'][0], f'{group["fmr_at_far"][made.far]:.2%}')


class DamageTablesTest(chex.TestCase):
  def test_every_kind_has_a_table_in_its_own_unit(self):
    row = {
      'accuracy': 0.9,
      'accuracy_new_thresholds': 0.95,
      'tar': 0.8,
      'far': 0.001,
      'tar_interval_95': [0.7, 0.9],
      'far_interval_95': [0.0, 0.01],
    }
    result = {
      'robustness': {'blur': [{'level': 0.5} | row], 'my_fog': []},
      'robustness_of': {
        'mode': 'plain',
        'far': 0.001,
        'num_pairs': 1000,
        'num_genuine': 500,
        'untouched': row,
      },
    }
    blur, fog = damage_tables.make_damage_tables(result)
    self.assertEqual(blur.title, 'Gaussian blur')
    self.assertEqual(fog.title, 'my fog')
    self.assertEqual(
      blur.lines['0.5'],
      (
        ('90.00%', ''),
        ('95.00%', ''),
        ('80.00%', '70.00 – 90.00%'),
        ('0.10%', '0.00 – 1.00%'),
      ),
    )
    what, without = damage_tables.describe_damage(result)
    self.assertIn('1,000 pairs (500 genuine) is damaged, in mode plain', what)
    self.assertIn('the one of FAR 1e-3', what)
    self.assertEqual(
      without, 'Without damage: Accuracy 90.00%, TAR 80.00%, FAR 0.10%.'
    )
    self.assertEqual(damage_tables.describe_damage({}), ())


if __name__ == '__main__':
  absltest.main()
