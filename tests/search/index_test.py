"""A whole index: adding, removing, searching by every method."""

import os
import threading
from unittest import mock

import chex
import jax
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.search import snapshot
from facejax.search.device import DeviceCodes, DeviceVectors
from facejax.search.index import FaceIndex
from facejax.search.results import Probes
from tests.search import small_index
from tests.search.small_index import BITS, SIZE


class IndexTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'index')

  def create(self, count=0, **fields):
    index = small_index.create(self.path, count, **fields)
    self.addCleanup(index.close)
    return index


class EditingTest(IndexTestCase):
  def test_what_was_added_is_found_again_when_opened_anew(self):
    self.create(7).close()
    index = FaceIndex.open(self.path)
    self.assertLen(index, 7)
    self.assertEqual(index.num_people, 3)
    self.assertEqual(index.bytes_per_template, BITS // 8 + 4 * SIZE)
    self.assertEqual(list(index.snapshot.names), small_index.names(7))
    found = index.search(small_index.probes(small_index.unit_vectors(7)))
    self.assertEqual([names[0] for names in found.names], small_index.names(7))
    self.assertEqual([p[0] for p in found.people], small_index.people(7))
    np.testing.assert_allclose(found.scores[:, 0], 1, atol=1e-6)
    np.testing.assert_array_equal(found.distances[:, 0], 0)

  @parameterized.parameters(
    ('float32', 4 * SIZE),
    ('float16', 2 * SIZE),
    ('int8', SIZE + 4),
    ('none', 0),
  )
  def test_vectors_take_the_bytes_of_their_type(self, vectors, size):
    index = self.create(40, vectors=vectors)
    self.assertEqual(index.bytes_per_template, BITS // 8 + size)
    rows = small_index.unit_vectors(40)
    found = index.search(small_index.probes(rows), by_person=False, top_k=1)
    np.testing.assert_array_equal(found.rows[:, 0], np.arange(40))
    np.testing.assert_allclose(found.scores[:, 0], 1, atol=0.02)
    index.check()

  def test_a_name_is_refused_twice_or_replaces_the_old_template(self):
    index = self.create(6)
    with self.assertRaisesRegex(UsageError, 'p0/1.jpg is in the index already'):
      small_index.add(index, 1, start=1)
    self.assertLen(index, 6)
    new = small_index.unit_vectors(1, seed=9)
    codes = small_index.probes(new).codes
    rows = index.add(['p0/1.jpg'], ['other'], codes, new, replace=True)
    self.assertEqual(rows.tolist(), [6])
    self.assertLen(index, 6)
    self.assertEqual(index.find(['p0/1.jpg', 'p9/0.jpg']).tolist(), [6, -1])
    found = index.search(Probes(new), method='float', top_k=1)
    self.assertEqual(found.people, [['other']])
    with self.assertRaisesRegex(UsageError, 'a is given twice'):
      index.add(['a', 'a'], ['p', 'p'], np.tile(codes, (2, 1)), new[[0, 0]])

  def test_removed_templates_are_never_found_and_compacting_frees_them(self):
    index = self.create(12)
    self.assertEqual(index.remove(names=['p0/0.jpg'], people=['p2', 'p3']), 7)
    self.assertLen(index, 5)
    self.assertEqual(index.num_people, 2)
    probes = small_index.probes(small_index.unit_vectors(12))
    for method in ('two_stage', 'hamming', 'asymmetric', 'float'):
      found = index.search(probes, method=method, top_k=9, by_person=False)
      self.assertEqual(set(found.rows.ravel()), {-1, 1, 2, 3, 4, 5})
    before = index.search(probes, top_k=2)
    size = index.num_bytes
    self.assertEqual(index.compact(), 7)
    self.assertLess(index.num_bytes, size / 2)
    self.assertEqual(list(index.snapshot.names), small_index.names(5, 1))
    self.assertEqual(list(index.snapshot.people), ['p0', 'p1'])
    after = index.search(probes, top_k=2)
    self.assertEqual(before.names, after.names)
    np.testing.assert_array_equal(before.scores, after.scores)
    index.check()
    small_index.add(index, 1)  # the name is free again
    self.assertLen(index, 6)
    self.assertEqual(FaceIndex.open(self.path).num_people, 2)

  def test_unknown_names_and_people_are_not_removed(self):
    index = self.create(6)
    for wanted in ({'names': ['p0/0.jpg', 'x']}, {'people': ['p1', 'x']}):
      with self.assertRaisesRegex(DataError, "has no (template|person) 'x'"):
        index.remove(**wanted)
    self.assertLen(index, 6)
    index.remove(people=['p1'])
    with self.assertRaisesRegex(DataError, "has no person 'p1'"):
      index.remove(people=['p1'])
    np.testing.assert_array_equal(
      index.has_people(['p0', 'p1', 'x']), [True, False, False]
    )

  def test_names_of_many_commits_are_found_by_a_new_writer(self):
    index = self.create()
    for start in range(0, 30, 3):
      small_index.add(index, 3, start=start, seed=start)
    index.close()
    index = FaceIndex.open(self.path, writable=True)
    self.addCleanup(index.close)
    small_index.add(index, 3, start=30)
    np.testing.assert_array_equal(
      index.find(small_index.names(33)), np.arange(33)
    )
    self.assertEqual(index.num_people, 11)

  def test_templates_that_do_not_fit_are_refused(self):
    index = self.create(3)
    rows = small_index.unit_vectors(2, seed=3)
    codes = small_index.probes(rows).codes
    for message, error, arguments in (
      ('stores codes', UsageError, (['a', 'b'], ['p', 'p'], None, rows)),
      ('stores embeddings', UsageError, (['a', 'b'], ['p', 'p'], codes)),
      ('2 names, but 1', UsageError, (['a', 'b'], ['p'], codes, rows)),
      ('codes have shape', UsageError, (['a'], ['p'], codes, rows[:1])),
      ('a: .*norm 2', DataError, (['a', 'b'], ['p', 'p'], codes, 2 * rows)),
      ('norm nan', DataError, (['a', 'b'], ['p', 'p'], codes, rows * np.nan)),
      ('name is empty', DataError, (['', 'b'], ['p', 'p'], codes, rows)),
      ('no text', DataError, (['a', 'b'], ['p', '\ud800'], codes, rows)),
      ('are lists', UsageError, ('ab', 'pp', codes, rows)),
    ):
      with self.subTest(message), self.assertRaisesRegex(error, message):
        index.add(*arguments)
    self.assertLen(index, 3)
    self.assertEmpty(index.add([], [], codes[:0], rows[:0]))

  @parameterized.parameters(
    (12, 16, 'float16', 'multiple of 8'),
    (0, 16, 'none', 'without codes and without vectors'),
    (8, 16, 'int4', 'use float32'),
    (8, 0, 'int8', 'need 1 or more'),
  )
  def test_an_impossible_index_is_refused(self, bits, size, vectors, message):
    with self.assertRaisesRegex(UsageError, message):
      FaceIndex.create(
        self.path, bits=bits, embedding_size=size, vectors=vectors
      )
    self.assertFalse(os.path.exists(self.path))

  def test_an_index_of_another_model_is_refused(self):
    model = {'path': 'out/a', 'fingerprint': 'abc'}
    index = self.create(model=model)
    index.check_model('abc')
    with self.assertRaisesRegex(UsageError, r'another model \(out/a\)'):
      index.check_model('abd')


class SearchTest(IndexTestCase):
  """Against a naive search, with heavy ties and people of many templates."""

  def setUp(self):
    super().setUp()
    self.rows = small_index.sign_vectors(300)
    self.rows[100:110] = self.rows[0]
    # One person owns most templates, and all of the best for its own probe.
    self.owners = [f'p{i % 20}' if i < 140 else 'many' for i in range(300)]
    self.rows[140:] = self.rows[7]
    flipped = np.random.default_rng(2).integers(0, SIZE, (160, 3))
    np.put_along_axis(self.rows[140:], flipped, 0.25, axis=1)
    index = self.create()
    self.codes = small_index.probes(self.rows).codes
    index.add(small_index.names(300), self.owners, self.codes, self.rows)
    index.remove(names=[small_index.names(300)[5]], people=['p3'])
    self.index = index
    self.living = np.array([p != 'p3' for p in self.owners])
    self.living[5] = False
    chosen = np.concatenate([self.rows[[0, 7, 3]], self.rows[150:152]])
    more = small_index.sign_vectors(6, seed=5)
    self.probes = small_index.probes(np.concatenate([chosen, more]))

  def keys(self, method):
    if method in ('float', 'two_stage'):
      return -(self.probes.embeddings @ self.rows.T)
    if method == 'hamming':
      return np.bitwise_count(
        self.probes.codes[:, None] ^ self.codes[None]
      ).sum(-1)
    bits = 2.0 * np.unpackbits(self.codes, axis=1, bitorder='little') - 1
    return -(self.probes.logits @ bits.T)

  def check(self, found, method, k, *, by_person):
    keys = self.keys(method)
    wanted = small_index.naive(
      keys, self.owners, self.living, k, by_person=by_person
    )
    self.assertEqual(
      [[row for row in rows if row >= 0] for rows in found.rows.tolist()],
      wanted,
    )

  @parameterized.product(
    method=('hamming', 'asymmetric', 'float', 'two_stage'),
    by_person=(True, False),
    k=(1, 4, 19, 400),
  )
  def test_answers_are_those_of_a_naive_search(self, method, by_person, k):
    found = self.index.search(
      self.probes,
      method=method,
      top_k=k,
      by_person=by_person,
      candidates=300 if method == 'two_stage' else None,
    )
    self.assertEqual(found.rows.shape, (11, k))
    self.check(found, method, k, by_person=by_person)
    self.assertTrue((np.diff(found.scores[:, : min(k, 19)]) <= 0).all())
    self.assertLessEqual(float(found.scores.max()), 1 + 1e-6)
    self.assertTrue(np.isneginf(found.scores[found.rows < 0]).all())

  @parameterized.parameters('two_stage', 'float')
  def test_devices_keep_the_gallery_and_give_the_same(self, method):
    query = {'method': method, 'top_k': 30, 'by_person': False}
    cpu = self.index.search(self.probes, **query)
    kind = DeviceVectors if method == 'float' else DeviceCodes
    with (
      mock.patch.object(jax, 'default_backend', return_value='gpu'),
      mock.patch.object(snapshot, kind.__name__, side_effect=kind) as kept,
    ):
      reader = FaceIndex.open(self.path)
      for _ in range(2):
        found = reader.search(self.probes, **query)
        np.testing.assert_array_equal(found.rows, cpu.rows)
        np.testing.assert_array_equal(found.scores, cpu.scores)
    kept.assert_called_once()

  @parameterized.parameters('hamming', 'asymmetric')
  def test_two_stages_rank_what_the_first_one_keeps(self, first_stage):
    found = self.index.search(
      self.probes,
      first_stage=first_stage,
      candidates=40,
      top_k=40,
      by_person=False,
    )
    stage_1 = small_index.naive(
      self.keys(first_stage), self.owners, self.living, 40, by_person=False
    )
    cosines = self.keys('float')
    for rows, kept, keys in zip(found.rows, stage_1, cosines, strict=True):
      wanted = sorted(kept, key=lambda row, keys=keys: (keys[row], row))
      self.assertEqual(rows.tolist(), wanted)

  def test_all_candidates_give_the_float_search_to_the_bit(self):
    for by_person in (True, False):
      exact = self.index.search(
        self.probes, method='float', top_k=30, by_person=by_person
      )
      for first_stage in ('hamming', 'asymmetric'):
        found = self.index.search(
          self.probes,
          first_stage=first_stage,
          candidates=300,
          top_k=30,
          by_person=by_person,
        )
        np.testing.assert_array_equal(found.rows, exact.rows)
        np.testing.assert_array_equal(found.scores, exact.scores)

  def test_no_person_is_hidden_by_the_templates_of_another(self):
    probe = small_index.probes(self.rows[150:151])
    found = self.index.search(probe, top_k=3, candidates=5)
    self.assertContainsSubset({'many'}, found.people[0])
    self.assertLen(set(found.people[0]), 3)

  def test_a_radius_keeps_all_within_it_and_else_searches_all(self):
    distances = self.keys('hamming')
    distances[:, ~self.living] = 99
    radius = int(np.median(distances.min(axis=1)))
    empty = distances.min(axis=1) > radius
    self.assertTrue(0 < empty.sum() < len(empty))
    found = self.index.search(
      self.probes, radius=radius, top_k=300, by_person=False
    )
    self.assertEqual(found.full_searches, empty.sum())
    cosines = self.keys('float')
    cosines[(distances > radius) & ~empty[:, None]] = 99
    for i, rows in enumerate(found.rows):
      keys = np.where(self.living, cosines[i], 99)
      wanted = [r for r in np.argsort(keys, kind='stable') if keys[r] < 99]
      self.assertEqual([r for r in rows.tolist() if r >= 0], wanted)
    people = self.index.search(self.probes, radius=radius, top_k=2)
    for answers, rows in zip(people.people, found.rows, strict=True):
      owners = [self.owners[row] for row in rows if row >= 0]
      self.assertEqual(answers, list(dict.fromkeys(owners))[:2])

  def test_recall_rises_to_one_at_all_templates(self):
    for by_person in (True, False):
      found = self.index.recall(
        self.probes, candidates=(1, 20, 300), by_person=by_person
      )
      self.assertEqual(list(found), [1, 20, 300])
      self.assertEqual(found[300], 1)
      self.assertLessEqual(found[1], found[20])
    exact = self.index.search(self.probes, method='float', top_k=1)
    two = self.index.search(self.probes, candidates=20, top_k=1)
    share = np.mean(exact.person_numbers == two.person_numbers)
    found = self.index.recall(self.probes, candidates=(20,))
    self.assertAlmostEqual(found[20], share)

  def test_threads_search_while_one_adds(self):
    wanted = self.index.search(self.probes, top_k=1, method='float').scores
    errors = []

    def search():
      for _ in range(10):
        found = self.index.search(self.probes, top_k=1, method='float')
        if (found.scores < wanted - 1e-6).any():
          errors.append(found.scores)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
      thread.start()
    for start in range(300, 330):
      small_index.add(self.index, 1, start=start, seed=start)
    for thread in threads:
      thread.join()
    self.assertEmpty(errors)
    self.assertEqual(self.index.num_people, 20 + 10)


class PartsTest(IndexTestCase):
  """Indexes that have codes or vectors alone."""

  def test_codes_alone_answer_by_hamming(self):
    index = self.create(30, vectors='none', embedding_size=0)
    probes = small_index.probes(small_index.unit_vectors(30))
    found = index.search(Probes(logits=probes.logits))
    self.assertEqual(index.default_method, 'hamming')
    self.assertEqual([p[0] for p in found.people], small_index.people(30))
    with self.assertRaisesRegex(UsageError, 'the index has no vectors'):
      index.search(probes, method='float')
    with self.assertRaisesRegex(UsageError, 'the index has no vectors'):
      index.recall(probes)

  def test_vectors_alone_answer_by_float(self):
    index = self.create(30, bits=0)
    probes = small_index.probes(small_index.unit_vectors(30))
    found = index.search(Probes(probes.embeddings))
    self.assertEqual(index.default_method, 'float')
    self.assertIsNone(found.distances)
    self.assertEqual([p[0] for p in found.people], small_index.people(30))
    for method in ('hamming', 'asymmetric', 'two_stage'):
      with self.assertRaisesRegex(UsageError, 'the index has no codes'):
        index.search(probes, method=method)

  def test_what_cannot_be_asked_is_refused(self):
    index = self.create(30)
    probes = small_index.probes(small_index.unit_vectors(2))
    for message, arguments in (
      ("method='x'", {'method': 'x'}),
      ("first_stage='float'", {'first_stage': 'float'}),
      ('top_k=0', {'top_k': 0}),
      ('candidates=0', {'candidates': 0}),
      ('two rules', {'candidates': 5, 'radius': 5}),
      ('radius belongs', {'radius': 5, 'method': 'hamming'}),
      ('radius belongs', {'radius': 5, 'first_stage': 'asymmetric'}),
      ('radius=-1', {'radius': -1}),
      ('no calibration', {'fpir': 0.1}),
    ):
      with self.subTest(message), self.assertRaisesRegex(UsageError, message):
        index.search(probes, **arguments)
    with self.assertRaisesRegex(UsageError, r'the probes have no codes'):
      index.search(Probes(probes.embeddings))
    with self.assertRaisesRegex(UsageError, 'of 8, the index of 16'):
      index.search(Probes(small_index.unit_vectors(2, size=8)), method='float')
    with self.assertRaisesRegex(UsageError, 'at least one probe'):
      index.recall(small_index.probes(small_index.unit_vectors(0)))
    with self.assertRaisesRegex(DataError, '2 embeddings, but 1 logits'):
      Probes(probes.embeddings, probes.logits[:1])
    with self.assertRaisesRegex(DataError, 'probe 1 is not finite'):
      Probes(probes.embeddings * [[1], [np.inf]])
    with self.assertRaisesRegex(DataError, 'embeddings, logits or both'):
      Probes()

  @parameterized.parameters('two_stage', 'hamming', 'asymmetric', 'float')
  def test_an_empty_index_has_no_answers(self, method):
    index = self.create()
    probes = small_index.probes(small_index.unit_vectors(2))
    for by_person in (True, False):
      found = index.search(probes, method=method, by_person=by_person, top_k=3)
      np.testing.assert_array_equal(found.rows, -np.ones((2, 3)))
      self.assertEqual(found.people, [[], []])
      np.testing.assert_array_equal(found.person_numbers, found.rows)
    self.assertEqual(index.search(probes, radius=4).full_searches, 0)
    self.assertEmpty(index.search(small_index.probes(probes.embeddings[:0])))


if __name__ == '__main__':
  absltest.main()
