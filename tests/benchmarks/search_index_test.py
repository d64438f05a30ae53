"""benchmarks.search_index at toy size."""

import os

import chex
import numpy as np
from absl.testing import absltest, flagsaver

from benchmarks import search_index, search_index_run
from facejax.errors import UsageError

SHAPE = search_index_run.Shape(bits=64, size=32)


class SearchIndexTest(chex.TestCase):
  def test_probes_lie_at_the_cosines_of_true_pairs(self):
    faces = search_index_run.Faces(SHAPE, block=500)
    probes, rows = faces.probes(400, 500)
    block = faces.block(0, 500)
    np.testing.assert_allclose(
      np.linalg.norm(probes.embeddings, axis=1), 1, rtol=1e-5
    )
    cosines = (probes.embeddings * block.embeddings[rows]).sum(1)
    self.assertAlmostEqual(float(cosines.mean()), 0.63, delta=0.03)
    self.assertAlmostEqual(float(cosines.std()), 0.13, delta=0.03)
    between = faces.block(1, 100).embeddings @ block.embeddings.T
    self.assertLess(float(np.abs(between.mean())), 0.01)

  def test_an_index_is_built_searched_and_edited(self):
    path = os.path.join(self.create_tempdir().full_path, 'index')
    built = search_index_run.build(path, 1500, SHAPE)
    self.assertEqual(built['bytes_per_template'], 8 + 64)
    self.assertGreater(built['templates_per_second'], 0)
    probes = search_index_run.draw_probes(1500, SHAPE, 20)
    found = search_index_run.search(path, *probes)
    self.assertEqual(found['templates'], 1500)
    self.assertGreater(found['two_stage']['mates_found'], 0.5)
    for name in ('rss_mb', 'own_mb', 'mapped_mb'):
      self.assertGreater(found['two_stage']['memory'][name], 0)
    rates = search_index_run.edit(path, 1500, SHAPE, 2)
    for kind in ('single', 'batch'):
      for what in ('adds', 'removes'):
        self.assertGreater(rates[f'{kind}_{what}_per_second'], 0)

  def test_sizes_that_are_none_are_refused(self):
    for sizes in ([], ['x'], ['0']):
      with (
        flagsaver.flagsaver(index_sizes=sizes),
        self.assertRaisesRegex(UsageError, '--index_sizes'),
      ):
        search_index.main([])
    with self.assertRaisesRegex(UsageError, 'unexpected'):
      search_index.main(['x'])


if __name__ == '__main__':
  absltest.main()
