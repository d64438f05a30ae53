"""Sizes of spec 4.4 to the byte, and those of nets of one's own."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from configs import hashing as recipe
from facejax import trees
from facejax.compression import packed, ternary
from facejax.errors import UsageError
from facejax.models import get_model
from facejax.training import hash_designs, hash_size_table, hash_sizes

_PEOPLE = 10_575
_TRUNK = 14_714_688  # weights and biases of VGG's convolutions
_STAGE_4_HALVED = 7_529_792  # of SphereFace-20, to its pooled features
_STAGE_4_WHOLE = 11_660_096
_HASH = 1024 * 128 + 128
_P = _TRUNK + _HASH + 128 * _PEOPLE + _PEOPLE
_O1 = _TRUNK + _HASH + 1152 * _PEOPLE + _PEOPLE


@pytest.fixture(scope='module')
def rows():
  """Of the paper's nets, by their labels."""
  return {
    row['label']: row for row in hash_sizes.measure_all(hash_designs.PAPER)
  }


class PaperTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _rows(self, rows):
    self.rows = rows

  @parameterized.parameters(
    ('VGG', 'with_classifier', '710.345', 4 * 177_586_319),
    (
      'VGG-P',
      'with_classifier',
      '64.840',
      4 * (_TRUNK + _HASH + 129 * _PEOPLE),
    ),
    ('VGG-O1', 'with_classifier', '108.155', 4 * _O1),
    # A byte for four weights, and one scale.
    (
      'VGG-O2',
      'ternary_classifier',
      '62.471',
      4 * (_O1 - 1152 * _PEOPLE) + 1152 * _PEOPLE // 4 + 4,
    ),
    ('SphereFace-20', 'with_classifier', '112.334', 4 * 28_083_520),
    (
      'Hash-Sphereface (a)',
      'with_classifier',
      '53.899',
      4 * (_STAGE_4_HALVED + 512 * 48 + 48 + (512 + 48) * 10_572),
    ),
    (
      'Hash-Sphereface (b)',
      'ternary_classifier',
      '53.916',
      4 * (_STAGE_4_WHOLE + 9 * 512 * 256 + 2 * 256 + 513 * 256)
      + 768 * 10_572 // 4
      + 4,
    ),
    (
      'Hash-Sphereface, ours',
      'with_classifier',
      '57.446',
      4 * (_STAGE_4_HALVED + 513 * 128 + 640 * 10_572),
    ),
    ('VGG-O1', 'without_classifier', '59.384', 4 * 14_845_888),
    ('SphereFace-20', 'without_classifier', '90.683', 4 * 22_670_656),
  )
  def test_sizes_are_those_of_the_formulas(
    self, label, ledger, megabytes, size
  ):
    found = self.rows[label]['bytes'][ledger]
    self.assertEqual(found, size)
    self.assertEqual(f'{found / 1e6:.3f}', megabytes)

  def test_what_the_paper_prints_is_said_to_agree_or_not(self):
    agreeing = {label: row['agrees'] for label, row in self.rows.items()}
    self.assertEqual(
      agreeing,
      {
        'VGG': True,
        'VGG-P': False,  # 64.84, printed 64.9
        'VGG-O1': None,
        'VGG-O2': True,
        'SphereFace-20': True,
        'Hash-Sphereface (a)': True,
        'Hash-Sphereface (b)': True,
        'Hash-Sphereface, ours': None,
      },
    )

  def test_the_saving_of_the_abstract_is_that_of_vggs_classifier(self):
    saving = self.rows['VGG-O2']['ternary_classifier_saves']
    self.assertEqual(f'{100 * saving:.2f}', '42.24')

  def test_packed_sizes_count_codes_biases_and_scales(self):
    kernels = _TRUNK - 4224 + 1024 * 128
    outputs = 4224 + 128  # of all kernels: a bias and a scale each
    # Rows of the first convolution have 27 weights, which take 2 words.
    padding = 64 * (8 - 27 / 4)
    net = kernels / 4 + padding + 4 * outputs + 4 * outputs
    self.assertEqual(self.rows['VGG-O1']['bytes']['packed'], net)
    classifier = 1152 * _PEOPLE / 4 + 4 * _PEOPLE + 4 * _PEOPLE
    self.assertEqual(
      self.rows['VGG-O1']['bytes']['packed_with_classifier'], net + classifier
    )

  def test_the_table_has_every_net_and_marks_what_is_printed(self):
    table = hash_size_table.to_markdown(list(self.rows.values()))
    self.assertIn(
      '| VGG-O2 | spliced | 128 | 10,575 x 1,152 + bias | 108.155 | 59.384 | ',
      table,
    )
    self.assertIn(' | **62.471** | 62.5 MB |\n', table)
    self.assertIn(' | 64.9 MB, not ours rounded |\n', table)
    self.assertEqual(table.count('\n| '), len(hash_designs.PAPER) + 1)


class OwnTest(chex.TestCase):
  def test_ledgers_of_shapes_are_those_of_arrays(self):
    design = hash_designs.make_design(
      'sphereface4',
      form='spliced',
      hash_bits=16,
      identities=30,
      fields={'image_size': (16, 16), 'width': 0.125, 'embedding_size': 16},
    )
    shapes = hash_sizes.parameter_shapes(design)
    net, head = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
    self.assertEqual(head['class_weights'].shape, (30, 16 + 16))
    found = hash_sizes.make_ledgers(net, head)
    for name, ledger in hash_sizes.make_ledgers(*shapes).items():
      self.assertEqual(ledger, found[name], name)
    tree = packed.pack_tree(net, ternary.default_rules(net))
    self.assertEqual(found['packed'].totals['total'], trees.byte_count(tree))

  @parameterized.parameters(
    ('spliced', 128, 128 + 128),
    ('hash_alone', 128, 128),
    ('usual', 128, 128),
    ('module_b', 0, 128),
  )
  def test_a_form_says_what_the_classifier_sees(self, form, bits, inputs):
    design = hash_designs.make_design(
      'mobilefacenet', form=form, hash_bits=None, identities=100
    )
    row = hash_sizes.measure(design)
    self.assertEqual(
      (row['hash_bits'], row['classifier_inputs']), (bits, inputs)
    )
    model = get_model(
      'mobilefacenet',
      hash_bits=bits,
      **({'pooled': True} if form in ('spliced', 'hash_alone') else {}),
    )
    net = jax.eval_shape(
      lambda: model.init(jax.random.key(0), jnp.zeros((1, 112, 112, 3)), False)
    )['params']
    self.assertEqual(row['parameters'], trees.parameter_count(net))

  def test_forms_are_those_of_the_recipe(self):
    forms = {
      name: (form.pooled, form.classifier)
      for name, form in hash_designs.FORMS.items()
    }
    self.assertEqual(forms, recipe.FORMS)

  @parameterized.parameters(
    ('sphereface4', 'splice', None, "form 'splice': use one of spliced, usual"),
    ('sphereface4', 'module_b', 8, 'hash_bits=8: module_b has no hash layer'),
    ('sphereface4', 'usual', 0, 'hash_bits=0: usual has a hash layer'),
    ('sphereface4', 'usual', 9, 'hash_bits=9: use a positive multiple of 8'),
    ('lenet5', 'spliced', 8, 'lenet5 has no pooled features: use the form'),
    ('sphereface5', 'usual', 8, "no model is called 'sphereface5'"),
  )
  def test_nets_that_cannot_be_are_refused(self, model, form, bits, message):
    with self.assertRaisesRegex(UsageError, message):
      hash_sizes.measure(
        hash_designs.make_design(model, form=form, hash_bits=bits, identities=9)
      )
