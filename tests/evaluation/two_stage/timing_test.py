"""What is timed, and how totals follow from it."""

from unittest import mock

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.two_stage import search, timing
from tests.evaluation.two_stage.small_faces import small_faces

SECONDS = {
  'hamming': 0.026,
  'asymmetric': 0.052,
  'second': 0.026,
  'float_search': 0.26,
}


class TimingTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.searched = search.as_searched(*small_faces())
    self.num_probes = len(self.searched.probes)
    self.assertEqual(self.num_probes, 26)

  def test_every_search_is_of_one_probe_and_the_candidates_asked_for(self):
    shapes = {}

    def keep(name):
      def call(probes, *rest):
        shapes.setdefault(name, []).append((len(probes), rest[-1]))
        return getattr(keep, name)(probes, *rest)

      setattr(keep, name, getattr(timing.scan, name))
      return call

    names = ('top_hamming', 'top_asymmetric', 'rank_candidates', 'top_cosine')
    with mock.patch.multiple(timing.scan, **{n: keep(n) for n in names}):
      found = timing.time_two_stage(self.searched, candidates=3)
    # One round that warms up, five that count; and once for the shortlists.
    rounds = dict.fromkeys(names, 6) | {'top_hamming': 7}
    for name, k in zip(names, (3, 3, 1, 1), strict=True):
      self.assertEqual(shapes[name], rounds[name] * 26 * [(1, k)], name)
    self.assertNotIn('extraction_s', found)
    self.assertNotIn('total_s', found['float_search'])
    self.assertEqual(found['num_timed_probes'], 26)

  def test_totals_follow_from_the_medians(self):
    seconds = SECONDS | {'extraction': 0.6}
    with mock.patch.object(
      timing, 'interleaved_medians', return_value=seconds
    ) as medians:
      found = timing.time_two_stage(
        self.searched,
        candidates=3,
        extract=lambda images: None,
        crops=np.zeros((3, 112, 112, 3), np.uint8),
        flip=True,
      )
    self.assertCountEqual(medians.call_args.args[0], seconds)
    self.assertAlmostEqual(found['extraction_ms_per_image'], 200)
    self.assertAlmostEqual(found['extraction_s'], 0.2 * (10 + 26))
    both = found['two_stage_asymmetric']
    self.assertAlmostEqual(both['stage_1_us_per_probe'], 2000)
    self.assertAlmostEqual(both['stage_2_us_per_probe'], 1000)
    self.assertAlmostEqual(both['matching_us_per_probe'], 3000)
    self.assertAlmostEqual(both['matching_s'], 0.078)
    self.assertAlmostEqual(both['total_s'], 7.2 + 0.078)
    self.assertAlmostEqual(both['float_search_over_it'], 10 / 3)
    self.assertAlmostEqual(found['float_search']['matching_us_per_probe'], 1e4)
    self.assertEqual(found['images_per_call'], 2)

  def test_rounds_go_through_all_sides_in_turn(self):
    order = []
    runs = {name: lambda name=name: order.append(name) for name in 'abc'}
    medians = timing.interleaved_medians(runs, repeats=2)
    self.assertEqual(''.join(order), 'abcabcabc')
    self.assertEqual(list(medians), ['a', 'b', 'c'])


if __name__ == '__main__':
  absltest.main()
