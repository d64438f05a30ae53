"""The full split and the draws that stand for the published one."""

import collections
import itertools
import os
import zipfile

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data import identification_splits as splits
from facejax.data.identification_lists import folder_identities
from facejax.errors import DataError

# Ten people with 1 1 1 2 2 3 3 4 5 6 images.
LABELS = np.repeat(np.arange(10), [1, 1, 1, 2, 2, 3, 3, 4, 5, 6])
COUNTS = splits.Counts(people=3, images=10, singles=4)


class FullSplitTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _find_shared(self, request):
    self.get_shared = lambda: request.getfixturevalue('shared')

  def test_the_first_image_of_everybody_is_enrolled(self):
    split = splits.first_images(np.array([2, 0, 0, 2, 1, 2]))
    self.assertEqual(split.gallery.tolist(), [1, 4, 0])
    self.assertEqual(split.probes.tolist(), [2, 3, 5])

  def test_nobody_left_to_look_up_is_refused(self):
    with self.assertRaisesRegex(
      DataError, 'each of the 3 people has one image'
    ):
      splits.first_images(np.arange(3))

  def lfw(self):
    path = os.path.join(self.get_shared(), 'faces', 'lfw_112.zip')
    with zipfile.ZipFile(path) as archive:
      names = sorted(n for n in archive.namelist() if n.endswith('.jpg'))
    people = folder_identities(names)
    return names, np.unique(people, return_inverse=True)[1]

  def test_counts_on_lfw_are_those_of_the_field(self):
    names, labels = self.lfw()
    split = splits.first_images(labels)
    self.assertEqual((len(split.gallery), len(split.probes)), (5749, 7484))
    self.assertTrue(all(names[i].endswith('_0001.jpg') for i in split.gallery))
    images = np.bincount(labels)
    self.assertEqual((images == 1).sum(), 4069)
    self.assertEqual(images[images >= 2].sum(), 9164)
    for number in range(2):
      draw = splits.draw_split(labels, seed=0, draw=number)
      self.assertLen(draw.closed.gallery, 4249)
      self.assertLen(draw.closed.probes, 3143)
      self.assertLen(draw.open.gallery, 3143)
      self.assertLen(draw.open.probes, 10090)
      self.assertLen(np.unique(labels[draw.enrolled]), 596)
      self.assertLen(np.unique(labels[draw.closed.gallery]), 4249)


class DrawTest(chex.TestCase):
  def draw(self, number, **options):
    options = {'seed': 3, 'counts': COUNTS} | options
    return splits.draw_split(LABELS, draw=number, **options)

  def test_a_draw_divides_all_images_by_the_counts(self):
    for number in range(20):
      draw = self.draw(number)
      people = np.unique(LABELS[draw.enrolled])
      self.assertLen(people, 3)
      self.assertLen(draw.enrolled, 3)
      self.assertEqual(np.isin(LABELS, people).sum(), 10)
      self.assertTrue((np.bincount(LABELS)[people] >= 2).all())
      parts = np.concatenate([draw.enrolled, draw.rest, draw.others])
      self.assertEqual(sorted(parts), list(range(len(LABELS))))
      self.assertLen(np.unique(LABELS[draw.singles]), 4)
      self.assertTrue(np.isin(draw.singles, draw.others).all())
      self.assertEqual(set(LABELS[draw.rest]), set(LABELS[draw.enrolled]))

  def test_a_draw_is_fixed_by_seed_and_number(self):
    chex.assert_trees_all_equal(self.draw(4), self.draw(4))
    others = [self.draw(5), self.draw(4, seed=4)]
    for other in others:
      self.assertNotEqual(
        [part.tolist() for part in other],
        [part.tolist() for part in self.draw(4)],
      )

  def test_every_set_of_people_that_fits_is_equally_likely(self):
    images = np.bincount(LABELS)
    fitting = [
      people
      for people in itertools.combinations(np.flatnonzero(images >= 2), 3)
      if images[list(people)].sum() == 10
    ]
    num_draws = 1500
    found = collections.Counter(
      tuple(np.unique(LABELS[self.draw(number).enrolled]).tolist())
      for number in range(num_draws)
    )
    self.assertEqual(set(found), {tuple(map(int, p)) for p in fitting})
    expected = num_draws / len(fitting)
    chi2 = sum((n - expected) ** 2 / expected for n in found.values())
    # 99.9 % point of chi squared, by Wilson and Hilferty's cube.
    degrees = len(fitting) - 1
    part = 2 / (9 * degrees)
    self.assertLess(chi2, degrees * (1 - part + 3.09 * part**0.5) ** 3)

  def test_every_image_of_a_person_may_be_enrolled(self):
    seen = collections.Counter()
    for number in range(150):
      seen.update(self.draw(number).enrolled.tolist())
    self.assertEqual(set(seen), set(range(3, len(LABELS))))

  @parameterized.parameters(
    {'people': 8},  # only seven have two images
    {'images': 5},  # the least is 2 + 2 + 3
    {'images': 16},  # the most is 4 + 5 + 6
    {'singles': 8},  # seven others
    {'people': 2, 'images': 4, 'singles': 9},
  )
  def test_counts_that_cannot_be_met_are_refused(self, **counts):
    counts = splits.Counts(**{'people': 3, 'images': 10, 'singles': 4} | counts)
    with self.assertRaisesRegex(DataError, '10 people with 28 images'):
      self.draw(0, counts=counts)

  def test_sets_other_than_lfw_are_refused_by_default(self):
    with self.assertRaisesRegex(DataError, 'use the full split or lists'):
      self.draw(0, counts=None)


class DrawHalfTest(chex.TestCase):
  @parameterized.parameters(
    (LABELS, 4),  # half of the seven with two images or more, rounded up
    (np.array([0, 0, 1, 1]), 1),
    (np.array([5, 5, 9]), 1),
    (np.repeat(np.arange(4), 3), 2),
  )
  def test_half_of_the_people_are_enrolled_but_for_one_image(
    self, labels, count
  ):
    for number in range(20):
      gallery, probes = splits.draw_half(labels, seed=1, draw=number)
      self.assertEqual(sorted([*gallery, *probes]), list(range(len(labels))))
      enrolled = np.unique(labels[gallery])
      self.assertLen(enrolled, count)
      genuine = labels[probes][np.isin(labels[probes], enrolled)]
      self.assertEqual(genuine.tolist(), enrolled.tolist())  # one image each
      self.assertLess(len(genuine), len(probes))

  def test_it_is_fixed_by_seed_and_number(self):
    def draw(seed, number):
      split = splits.draw_half(LABELS, seed=seed, draw=number)
      return [part.tolist() for part in split]

    self.assertEqual(draw(1, 2), draw(1, 2))
    self.assertNotEqual(draw(1, 2), draw(1, 3))
    self.assertNotEqual(draw(1, 2), draw(2, 2))

  def test_everybody_and_every_image_may_be_enrolled(self):
    enrolled, asked = collections.Counter(), collections.Counter()
    for number in range(400):
      gallery, probes = splits.draw_half(LABELS, seed=0, draw=number)
      enrolled.update(np.unique(LABELS[gallery]).tolist())
      asked.update(probes[np.isin(LABELS[probes], LABELS[gallery])].tolist())
    self.assertEqual(sorted(enrolled), list(range(3, 10)))
    # Each of seven is one of four: within four deviations of 400 draws.
    for times in enrolled.values():
      self.assertAlmostEqual(times / 400, 4 / 7, delta=0.1)
    self.assertEqual(sorted(asked), list(range(3, len(LABELS))))

  @parameterized.parameters(
    (np.zeros(3, int), '1 people, of whom 1'),
    (np.arange(3), '3 people, of whom 0'),
  )
  def test_sets_without_both_kinds_of_people_are_refused(self, labels, message):
    with self.assertRaisesRegex(DataError, message):
      splits.draw_half(labels, seed=0, draw=0)


if __name__ == '__main__':
  absltest.main()
