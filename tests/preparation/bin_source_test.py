import pathlib
import pickle
import tempfile

import chex
import numpy as np
from absl.testing import absltest

from facejax.errors import DataError, UsageError
from facejax.preparation.bin_source import BinSource
from facejax.preparation.sources import FaceSource
from tests.data.remote_files import remote_files


class BinSourceTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def write(self, name, *pairs):
    """A set of pairs 'ab' (the same person) or 'a-b' of one-byte images."""
    images = [pair[at].encode() for pair in pairs for at in (0, -1)]
    same = ['-' not in pair for pair in pairs]
    path = self.root / name
    path.write_bytes(pickle.dumps((images, same), 2))
    return path

  def people(self, source):
    """{identity: images} of all items."""
    found = dict.fromkeys(source.identities, '')
    for item, label in enumerate(source.labels):
      found[source.identities[label]] += source.read(item).decode()
    return found

  def test_buckets_are_read_as_folders_are(self):
    path = self.write('a.bin', 'ab', 'c-d')
    with remote_files(self.root) as url:
      source = BinSource([f'{url}/a.bin'])
      self.assertEqual(self.people(source), self.people(BinSource([path])))

  def test_people_are_what_pairs_and_equal_images_join(self):
    path = self.write('a.bin', 'ab', 'c-d', 'ea', 'fg', 'b-h', 'gg')
    source = BinSource([path])
    self.assertIsInstance(source, FaceSource)
    self.assertEqual(
      self.people(source),
      {
        'pair_000000': 'abe',
        'pair_000002': 'c',
        'pair_000003': 'd',
        'pair_000006': 'fg',
        'pair_000009': 'h',
      },
    )
    self.assertEqual(source.labels.dtype, np.int32)
    self.assertEqual(
      [source.path(i) for i in range(8)],
      [
        'pair_000000/000000.jpg',
        'pair_000000/000001.jpg',
        'pair_000002/000002.jpg',
        'pair_000003/000003.jpg',
        'pair_000000/000004.jpg',
        'pair_000006/000006.jpg',
        'pair_000006/000007.jpg',
        'pair_000009/000009.jpg',
      ],
    )
    self.assertEqual(
      source.claims(),
      {
        'inputs': {str(path): {'pairs': 6}},
        'notes': [],
        'images': 12,
        'repeated_images': 4,
        'components': 5,
        'contradictory_pairs': 0,
      },
    )

  def test_long_chains_are_one_person(self):
    letters = [chr(i) for i in range(256, 400)]
    pairs = [f'{a}{b}' for a, b in zip(letters, letters[1:], strict=False)]
    source = BinSource([self.write('a.bin', *pairs[::2], *pairs[1::2][::-1])])
    self.assertEqual(len(source.identities), 1)
    self.assertLen(source.labels, 144)

  def test_pairs_that_contradict_the_others_are_counted(self):
    source = BinSource([self.write('a.bin', 'ab', 'bc', 'a-c', 'd-d', 'a-d')])
    self.assertEqual(source.claims()['contradictory_pairs'], 2)
    self.assertRegex(source.claims()['notes'][0], '^2 pairs are of two people')

  def test_one_image_in_two_files_is_one_item(self):
    paths = [self.write('a.bin', 'ab'), self.write('b.bin', 'c-b', 'cd')]
    source = BinSource(paths)
    self.assertEqual(
      self.people(source), {'pair_000000': 'ab', 'pair_000002': 'cd'}
    )
    self.assertEqual([source.input_of(i) for i in range(4)], [0, 0, 1, 1])
    self.assertEqual(source.path(3), 'pair_000002/000005.jpg')

  def test_the_fingerprint_changes_with_images_and_pairs(self):
    prints = {
      BinSource([self.write('a.bin', *pairs)]).fingerprint()
      for pairs in (('ab', 'cd'), ('ab', 'c-d'), ('ab', 'ce'), ('ab',))
    }
    self.assertLen(prints, 4)
    self.write('b.bin', 'ab', 'cd')
    self.assertIn(BinSource([self.root / 'b.bin']).fingerprint(), prints)

  def test_inputs_that_cannot_be_used_are_refused(self):
    path = self.write('a.bin', 'ab')
    with self.assertRaisesRegex(UsageError, 'names a file twice'):
      BinSource([path, path])
    with self.assertRaisesRegex(UsageError, 'no input'):
      BinSource([])
    with self.assertRaisesRegex(DataError, 'none.bin: cannot be read'):
      BinSource([self.root / 'none.bin'])


if __name__ == '__main__':
  absltest.main()
