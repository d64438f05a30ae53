"""Published figures: which counts they are, and that differences are said."""

import chex
from absl.testing import parameterized

from facejax.models import MODELS, get_model
from facejax.models.counts import Counts
from facejax.models.listing import disagreements, to_markdown
from facejax.models.published import PUBLISHED, Published, agrees


class AgreesTest(chex.TestCase):
  @parameterized.parameters(
    ('0.99 M', 993_344, True),
    ('0.99 M', 996_480, False),
    ('221 M', 220_965_376, True),
    ('4.0 MB', 4_012_544, True),
    ('4.0 MB', 4_060_000, False),
    ('5556 K', 5_556_499, True),
    ('0.45 G', 437_520_896, False),
    ('120', 120, True),
    ('120', 121, False),
  )
  def test_a_figure_is_its_count_rounded(self, printed, count, expected):
    self.assertEqual(agrees(printed, count), expected)

  @parameterized.parameters('', 'about 4 M', '4.0 MiB', '1.2 B')
  def test_what_is_no_figure_is_refused(self, printed):
    with self.assertRaisesRegex(ValueError, 'no printed figure'):
      agrees(printed, 1)


class PublishedTest(chex.TestCase):
  def test_every_entry_is_of_a_model_with_such_fields(self):
    for entry in PUBLISHED:
      self.assertIn(entry.name, MODELS)
      get_model(entry.name, **entry.fields)

  def test_every_figure_can_be_read(self):
    for entry in PUBLISHED:
      figures = (entry.parameters, entry.multiply_adds, entry.size)
      self.assertTrue(any(figures), entry)
      for figure in filter(None, figures):
        agrees(figure, 0)


class DisagreementsTest(chex.TestCase):
  counts = Counts(1_003_136, 993_344, 220_965_376, 128)

  def test_figures_that_round_are_no_disagreement(self):
    entry = Published('x', 'A', '0.99 M', '221 M', counted='folded_parameters')
    self.assertEqual(disagreements(entry, self.counts), [])

  def test_each_other_figure_is_named_with_its_count_and_the_remark(self):
    entry = Published(
      'x', 'A', '0.99 M', '130 M', fields={'width': 1}, remark='they err'
    )
    self.assertEqual(
      disagreements(entry, self.counts),
      [
        '`x`, width=1: A prints 0.99 M where 1,003,136 parameters are counted, '
        '130 M where 220,965,376 multiply-adds are counted; they err.'
      ],
    )

  def test_a_classifier_is_counted_where_the_figure_includes_it(self):
    """SphereFace-20 with 10,572 people, LeNet-5 with ten biased digits."""
    sphereface = Counts(22_670_656, 22_670_656, 1, 512)
    entry = Published('x', 'A', size='112.3 MB', identities=10_572)
    self.assertEqual(disagreements(entry, sphereface), [])
    lenet = Counts(426_070, 426_070, 1, 500)
    entry = Published('x', 'A', '431080', identities=10, biased=True)
    self.assertEqual(disagreements(entry, lenet), [])

  def test_a_page_without_variants_and_disagreements_is_a_table(self):
    row = {
      'name': 'x',
      'fields': {},
      'image_size': [112, 96],
      'image_channels': 3,
      'embedding_size': 128,
      'parameters': 1_003_136,
      'folded_parameters': 993_344,
      'multiply_adds': 220_965_376,
      'bytes_float32': 4_012_544,
      'published': [
        {'source': 'A', 'parameters': '1 M', 'multiply_adds': '', 'size': ''},
        {'source': 'B', 'parameters': '2 M', 'multiply_adds': '', 'size': ''},
      ],
      'disagreements': [],
    }
    self.assertEndsWith(
      to_markdown([row]),
      '| `x` | 112x96x3 | 128 | 1,003,136 | 993,344 | 221.0 M | 4.01 | '
      '1 M; 2 M |  |  |\n',
    )
