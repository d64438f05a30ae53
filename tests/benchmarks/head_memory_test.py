import json
import pathlib

import chex
import numpy as np
import pytest
from absl.testing import flagsaver, parameterized

from benchmarks import head_memory, head_tables
from facejax.errors import UsageError
from tests.conftest import REPOSITORY

PAGE = pathlib.Path(REPOSITORY, 'docs', 'scaling.md')
MILLIONS = 0.5


@pytest.fixture(scope='module')
def heads():
  """Half a million rows a device, dense and sampled."""
  return head_tables.measure_heads([MILLIONS])


def cells(line):
  return [cell.strip() for cell in line.strip('|').split('|')]


class HeadTablesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _heads(self, heads):
    self.heads = heads

  def test_the_page_shows_what_the_script_finds(self):
    page = PAGE.read_text().splitlines()
    for line in head_tables.heads_table(self.heads).splitlines()[2:]:
      found = cells(line)
      rows = [cells(row) for row in page if row.startswith('|')]
      (written,) = [row for row in rows if row[:2] == found[:2]]
      self.assertEqual(written[2:4], found[2:4])
      self.assertEqual(written[-1], found[-1])
      # Estimates may change with the compiler, the page within its digits.
      np.testing.assert_allclose(
        [float(x) for x in written[4:6]],
        [float(x) for x in found[4:6]],
        rtol=0.1,
      )

  def test_rows_by_hand(self):
    dense, sampled = self.heads
    weights = 500_000 * 512 * 4
    for row in self.heads:
      self.assertEqual(row['head'], weights)
      self.assertEqual(row['head_optimizer'], weights)
      self.assertTrue(row['fits'])
    self.assertEqual((dense['sample_rate'], sampled['sample_rate']), (1.0, 0.1))
    # At least the gradient; of the sample its rows and their momentum too.
    self.assertGreater(dense['head_workspace'], weights)
    self.assertGreater(sampled['head_workspace'], 0.3 * weights)
    self.assertLess(sampled['head_workspace'], dense['head_workspace'])

  def test_the_largest_number_lies_where_the_total_passes_the_device(self):
    # A total of 4 GiB a million: 73.6 usable are 18.4 millions.
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(
        head_tables,
        '_head',
        lambda millions, rate: Total(round(millions * 4 * 2**30)),
      )
      self.assertEqual(
        head_tables.measure_largest(), {'1.0': 18.4, '0.1': 18.4}
      )
    table = head_tables.largest_table({'0.1': 18.4})
    self.assertIn('| 0.1 | 18.4 | 147.2 |', table)

  def test_tables_are_replaced_where_the_page_names_them(self):
    page = 'a\n<!-- x -->\nold\n<!-- end of x -->\nb\n'
    self.assertEqual(
      head_tables.replace_tables(page, {'x': '| \\1 |'}),
      'a\n<!-- x -->\n| \\1 |\n<!-- end of x -->\nb\n',
    )
    with self.assertRaisesRegex(UsageError, 'no place for the table of y'):
      head_tables.replace_tables(page, {'y': ''})

  def test_a_row_of_a_net_sums_its_parts(self):
    gib = 2**30
    parts = {'parameters': gib, 'optimizer': gib, 'ema': 0, 'batch': gib}
    parts |= {'head': 2 * gib, 'head_optimizer': 2 * gib}
    parts |= {'activations': 5 * gib, 'head_workspace': 6 * gib}
    result = {
      'net': 'iresnet50',
      'sample_rate': 0.1,
      'remat': True,
      'num_identities': 100_000_000,
      'batch_size': 512,
      'bytes_per_device': parts | {'total': 18 * gib},
      'fits': True,
    }
    line = head_tables.nets_table([result]).splitlines()[-1]
    self.assertEqual(
      line,
      '| iresnet50, remat | 100 | 0.1 | 512 | 3.00 | 4.00 | 5.00 | 6.00 '
      '| 18.00 | yes |',
    )


class Total:
  """A head's memory of which only the sum is known."""

  def __init__(self, total):
    self.total = total


class HeadMemoryTest(chex.TestCase):
  def test_the_script_measures_and_writes_a_page(self):
    page = pathlib.Path(self.create_tempdir().full_path, 'page.md')
    names = ('heads', 'largest')
    page.write_text(
      ''.join(f'<!-- {n} -->\n\n<!-- end of {n} -->' for n in names)
    )
    rows = [
      dict.fromkeys(head_tables.HEAD_PARTS, 2**30)
      | {'millions': 2.0, 'sample_rate': 1.0, 'fits': True}
    ]
    with (
      pytest.MonkeyPatch.context() as patch,
      flagsaver.flagsaver(rows=['2'], output=str(page), nets=False),
    ):
      patch.setattr(head_tables, 'measure_heads', lambda millions: rows)
      patch.setattr(head_tables, 'measure_largest', lambda: {'0.1': 3.0})
      result = head_memory.main([])
    self.assertEqual(json.loads(json.dumps(result)), result)
    self.assertEqual(result['largest'], {'0.1': 3.0})
    self.assertIn(
      '| 2 | 1 | 1.00 | 1.00 | 1.00 | 1.00 | yes |', page.read_text()
    )

  @parameterized.parameters(
    ({'rows': ['x']}, '--rows'),
    ({'rows': ['-1']}, '--rows'),
    ({'output': '/nowhere/page.md'}, 'name a page'),
  )
  def test_what_cannot_be_is_refused(self, given, words):
    wanted = {'rows': ['1'], 'output': None, 'nets': False} | given
    with (
      flagsaver.flagsaver(**wanted),
      self.assertRaisesRegex(UsageError, words),
    ):
      head_memory.main([])
