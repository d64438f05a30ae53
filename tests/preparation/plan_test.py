import chex
import numpy as np
from absl.testing import absltest

from facejax.preparation.exclusion import Exclusion
from facejax.preparation.plan import Plan
from tests.preparation.face_sets import MemorySource

PATHS = ('bob/2', 'x', 'ann/b', 'bob/1', 'ann/a', 'cy/1', 'deep/ann/0')


class PlanTest(chex.TestCase):
  def plan(self, *excluded):
    source = MemorySource(dict.fromkeys(PATHS, b''))
    return Plan(source, Exclusion(excluded)), source

  def walk(self, plan, place=0):
    return [(at, PATHS[item]) for at, item in plan.walk(place)]

  def test_people_are_sorted_by_name_and_their_files_too(self):
    plan, _ = self.plan()
    expected = [
      (0, 'x'),
      (1, 'ann/a'),
      (1, 'ann/b'),
      (2, 'bob/1'),
      (2, 'bob/2'),
      (3, 'cy/1'),
      (4, 'deep/ann/0'),
    ]
    self.assertEqual(self.walk(plan), expected)
    self.assertEqual(self.walk(plan, 2), expected[3:])
    names = [plan.name(place) for place in range(plan.num_places)]
    self.assertEqual(names, [None, 'ann', 'bob', 'cy', 'deep/ann'])
    self.assertEqual([plan.count_from(p) for p in range(6)], [7, 6, 4, 2, 1, 0])

  def test_excluded_items_are_neither_walked_nor_counted(self):
    plan, _ = self.plan('bob', 'ann/b')
    self.assertEqual(
      self.walk(plan, 1), [(1, 'ann/a'), (3, 'cy/1'), (4, 'deep/ann/0')]
    )
    self.assertEqual([plan.count_from(p) for p in range(6)], [4, 3, 2, 2, 1, 0])
    self.assertEqual(plan.num_excluded, 3)

  def test_no_object_is_kept_for_an_image_or_a_person(self):
    plan, source = self.plan()
    held = {type(value) for value in vars(plan).values()}
    self.assertEqual(held, {np.ndarray, type(source)})


if __name__ == '__main__':
  absltest.main()
