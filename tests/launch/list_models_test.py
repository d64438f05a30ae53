"""launch.list_models: the table that stands in docs/models.md."""

import os

import chex
import pytest
from absl.testing import flagsaver

from facejax.errors import UsageError
from facejax.models import MODELS
from facejax.models.published import PUBLISHED
from launch import list_models
from tests.conftest import REPOSITORY

DOCS = os.path.join(REPOSITORY, 'docs', 'models.md')


def _run(**values):
  given = {'models': [], 'output': None, 'overwrite': False}
  with flagsaver.flagsaver(**given | values):
    return list_models.main([])


class ListModelsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, capfd, listed_models):
    self.capfd, self.listed_models = capfd, listed_models

  def test_the_committed_page_is_what_the_command_writes(self):
    """And no difference is without a reason."""
    result, page = self.listed_models
    rows = result['models']
    self.assertEqual([r['name'] for r in rows if not r['fields']], [*MODELS])
    differing = [s for row in rows for s in row['disagreements']]
    self.assertLen(differing, sum(bool(p.remark) for p in PUBLISHED))
    self.assertFalse([s for s in differing if s.endswith('; .')])
    with open(DOCS) as committed:
      self.assertEqual(
        page,
        committed.read(),
        'write docs/models.md anew: python -m launch.list_models '
        '--output=docs/models.md --overwrite',
      )

  def test_chosen_models_are_printed_and_returned(self):
    (row,) = _run(models=['shufflenet'])['models']
    self.assertEqual(
      {name: row[name] for name in list(row)[:8]},
      {
        'name': 'shufflenet',
        'fields': {},
        'image_size': [112, 112],
        'image_channels': 3,
        'embedding_size': 960,
        'parameters': 853_734,
        'folded_parameters': 841_866,
        'multiply_adds': 126_101_304,
      },
    )
    self.assertEqual(row['bytes_float32'], 4 * 853_734)
    self.assertEqual(row['published'][0]['parameters'], '0.83 M')
    self.assertLen(row['disagreements'], 1)
    self.assertIn('| `shufflenet` | 112x112x3 |', self.capfd.readouterr().err)

  def test_an_unknown_model_is_answered_with_the_nearest(self):
    with self.assertRaisesRegex(UsageError, 'use shufflenet'):
      _run(models=['shufflnet'])

  def test_what_is_there_is_replaced_only_on_demand(self):
    with self.assertRaisesRegex(UsageError, 'models.md already exists'):
      _run(output=DOCS)
    with self.assertRaisesRegex(UsageError, 'is a folder: name a file'):
      _run(output=os.path.dirname(DOCS), overwrite=True)
