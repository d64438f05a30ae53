import json
import os
import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.members import sorted_order
from facejax.data.names import NameTable
from facejax.errors import DataError, UsageError
from facejax.preparation.folder_source import FolderSource
from facejax.preparation.list_matching import match_list
from facejax.preparation.sources import FaceSource
from tests.conftest import SHARED
from tests.data.packed_files import write_files, write_tar, write_zip
from tests.data.remote_files import remote_files


class SourceCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def files(self, *names, root='faces'):
    return write_files(
      self.root / root, {name: os.fsencode(name) for name in names}
    )

  def list(self, *lines):
    path = self.root / 'list.txt'
    path.write_text('\n'.join(lines) + '\n')
    return path

  def items(self, source):
    """{path: (identity, input)} of all items, which must be readable."""
    found = {}
    for item, label in enumerate(source.labels):
      identity = source.identities[label] if label >= 0 else None
      found[source.path(item)] = identity, source.input_of(item)
      self.assertEqual(source.read(item), os.fsencode(source.path(item)))
    return found


class FolderSourceTest(SourceCase):
  def test_folder_that_a_file_lies_in_names_its_person(self):
    source = FolderSource(
      [self.files('bob/1.jpg', 'top/ann/2.PNG', 'top/bob/3.jpg', 'stray.jpg')]
    )
    self.assertIsInstance(source, FaceSource)
    self.assertEqual(source.identities, ['ann', 'bob'])
    self.assertEqual(source.labels.dtype, np.int32)
    self.assertEqual(
      self.items(source),
      {
        'bob/1.jpg': ('bob', 0),
        'stray.jpg': (None, 0),
        'top/ann/2.PNG': ('ann', 0),
        'top/bob/3.jpg': ('bob', 0),
      },
    )

  def test_people_of_one_name_merge_over_folders_zips_and_tars(self):
    folder = self.files('ann/1.jpg', 'bob/1.jpg')
    packed = write_zip(self.root / 'a.zip', {'x/ann/2.jpg': b'x/ann/2.jpg'})
    tar = write_tar(self.root / 'a.tar', {'cy/1.jpg': b'cy/1.jpg'})
    source = FolderSource([folder, packed, tar])
    self.assertEqual(source.inputs, [str(folder), str(packed), str(tar)])
    self.assertEqual(source.identities, ['ann', 'bob', 'cy'])
    self.assertEqual(source.labels.tolist(), [0, 1, 0, 2])
    self.assertEqual(
      self.items(source),
      {
        'ann/1.jpg': ('ann', 0),
        'bob/1.jpg': ('bob', 0),
        'x/ann/2.jpg': ('ann', 1),
        'cy/1.jpg': ('cy', 2),
      },
    )

  def test_hidden_files_are_no_files_and_other_types_are_counted(self):
    folder = self.files(
      'ann/1.jpg', 'ann/marks.txt', '.DS_Store', 'ann/._1.jpg', 'readme'
    )
    source = FolderSource([folder])
    self.assertEqual(self.items(source), {'ann/1.jpg': ('ann', 0)})
    self.assertEqual(source.num_ignored, 2)
    self.assertEqual(
      source.claims(),
      {'inputs': {str(folder): {'files': 3, 'images': 1}}, 'notes': []},
    )
    json.dumps(source.claims())

  def test_folder_without_images_is_an_empty_source(self):
    source = FolderSource([self.files('readme')])
    self.assertEqual(source.labels.shape, (0,))
    self.assertEmpty(source.identities)

  def test_names_that_are_not_utf8_are_items(self):
    name = os.fsdecode(b'\xff/\xfe.jpg')
    source = FolderSource([self.files(name)])
    self.assertEqual(self.items(source), {name: (os.fsdecode(b'\xff'), 0)})

  def test_unfit_inputs_are_refused(self):
    folder = self.files('ann/1.jpg')
    for inputs, error, message in (
      ([], UsageError, 'no input'),
      ([folder, f'{self.root}/x/../faces'], UsageError, 'names a place twice'),
      ([self.root / 'nothing'], DataError, 'does not exist'),
      (['ftp://host/a.zip'], UsageError, 'one of gs://'),
      ([folder / 'ann' / '1.jpg'], DataError, 'expected a folder'),
    ):
      with self.assertRaisesRegex(error, message):
        FolderSource(inputs)

  def test_fingerprint_changes_with_names_and_with_archives(self):
    folder = self.files('ann/1.jpg')
    first = FolderSource([folder]).fingerprint()
    self.assertEqual(FolderSource([folder]).fingerprint(), first)
    self.files('bob/1.jpg')
    self.assertNotEqual(FolderSource([folder]).fingerprint(), first)
    path = write_zip(self.root / 'a.zip', {'ann/1.jpg': b'one'})
    first = FolderSource([path]).fingerprint()
    self.assertEqual(FolderSource([path]).fingerprint(), first)
    write_zip(path, {'ann/1.jpg': b'two!'})
    self.assertNotEqual(FolderSource([path]).fingerprint(), first)

  def test_bucket_is_a_source_like_a_folder(self):
    self.files('ann/1.jpg', 'bob/2.jpg')
    write_zip(self.root / 'a.zip', {'cy/3.jpg': b'cy/3.jpg'})
    self.list('1.jpg x', 'bob/2.jpg y', '3.jpg x')
    with remote_files(self.root) as url:
      inputs = [f'{url}/faces', f'{url}/a.zip']
      source = FolderSource(inputs)
      self.assertLen(self.items(source), 3)
      self.assertEqual(source.fingerprint(), FolderSource(inputs).fingerprint())
      listed = FolderSource(inputs, image_list=f'{url}/list.txt')
      self.assertEqual(
        self.items(listed),
        {
          'ann/1.jpg': ('x', 0),
          'bob/2.jpg': ('y', 0),
          'cy/3.jpg': ('x', 1),
        },
      )


class ListedTest(SourceCase):
  def test_list_says_whom_images_show_whatever_their_folder(self):
    folder = self.files('img/1.jpg', 'img/2.jpg', 'img/deep/3.jpg', 'x.jpg')
    packed = write_zip(self.root / 'a.zip', {'4.jpg': b'4.jpg'})
    source = FolderSource(
      [folder, packed],
      image_list=self.list('2.jpg b', 'img/1.jpg a', '4.jpg b', '3.jpg a'),
    )
    self.assertEqual(source.identities, ['a', 'b'])
    self.assertEqual(source.labels.tolist(), [1, 0, 1, 0])
    self.assertEqual(
      self.items(source),
      {
        'img/2.jpg': ('b', 0),
        'img/1.jpg': ('a', 0),
        '4.jpg': ('b', 1),
        'img/deep/3.jpg': ('a', 0),
      },
    )
    self.assertEqual(
      source.claims()['list'],
      {'images': 4, 'missing': 0, 'ambiguous': 0, 'not_listed': 1},
    )

  def test_missing_and_ambiguous_paths_are_items_that_say_so(self):
    source = FolderSource(
      [self.files('a/1.jpg', 'b/1.jpg')],
      image_list=self.list('gone/2.jpg x', '1.jpg y', 'b/1.jpg z'),
    )
    self.assertEqual(
      [source.path(i) for i in range(2)], ['gone/2.jpg', '1.jpg']
    )
    with self.assertRaisesRegex(DataError, 'gone/2.jpg: .*in no input'):
      source.read(0)
    with self.assertRaisesRegex(DataError, '1.jpg: several files'):
      source.read(1)
    self.assertEqual(source.read(2), b'b/1.jpg')
    self.assertEqual(
      source.claims()['list'],
      {'images': 3, 'missing': 1, 'ambiguous': 1, 'not_listed': 1},
    )
    self.assertEqual(
      source.claims()['notes'],
      [
        '1 files of the list are in no input',
        '1 paths of the list may be several files',
        '1 images are not in the list and left alone',
      ],
    )

  def test_whole_path_goes_before_the_end_of_another(self):
    source = FolderSource(
      [self.files('1.jpg', 'a/1.jpg')], image_list=self.list('1.jpg x')
    )
    self.assertEqual(self.items(source), {'1.jpg': ('x', 0)})

  def test_path_may_begin_in_the_folder_above_or_at_the_root(self):
    folder = self.files('a/1.jpg', 'a/2.jpg')
    source = FolderSource(
      [folder], image_list=self.list('faces/a/1.jpg x', f'{folder}/a/2.jpg x')
    )
    self.assertEqual(
      self.items(source), {'a/1.jpg': ('x', 0), 'a/2.jpg': ('x', 0)}
    )

  def test_part_of_a_name_is_no_end_of_a_path(self):
    source = FolderSource(
      [self.files('a/11.jpg')], image_list=self.list('1.jpg x')
    )
    with self.assertRaisesRegex(DataError, 'in no input'):
      source.read(0)

  def test_list_takes_files_whose_names_end_like_no_image(self):
    source = FolderSource(
      [self.files('a/1.jpg_0', 'a/2.jpg')], image_list=self.list('1.jpg_0 x')
    )
    self.assertEqual(self.items(source), {'a/1.jpg_0': ('x', 0)})
    self.assertEqual(source.claims()['list']['not_listed'], 1)

  @parameterized.parameters(3, 64)
  def test_matching_equals_a_search_of_every_path(self, chunk):
    rng = np.random.default_rng(0)
    names = sorted(
      {
        '/'.join(map(str, rng.integers(0, 4, rng.integers(1, 5))))
        for _ in range(99)
      }
    )
    wanted = sorted(
      {
        '/'.join(map(str, rng.integers(0, 4, rng.integers(1, 6))))
        for _ in range(99)
      }
    )
    parts = [('', names[:40]), ('/r/0/', names[40:])]
    with mock.patch('facejax.preparation.list_matching._CHUNK', chunk):
      inputs, places = match_list(
        NameTable.of(wanted), [(r, NameTable.of(n)) for r, n in parts]
      )
    for path, number, place in zip(wanted, inputs, places, strict=True):
      every = [(k, i) for k, (_, n) in enumerate(parts) for i in range(len(n))]
      whole = [(k, i) for k, i in every if parts[k][1][i] == path]
      ends = [
        (k, i)
        for k, i in every
        if f'/{parts[k][0]}{parts[k][1][i]}'.endswith(f'/{path}')
      ]
      found = whole or ends
      if len(found) == 1:
        self.assertEqual((number, place), found[0])
      else:
        self.assertEqual(place, -1 if not found else -2, msg=path)


class RealFacesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    if not os.path.isdir(SHARED):
      self.skipTest('the folder ../shared with real faces is not here')

  def test_two_sets_that_share_seven_people_merge_to_122(self):
    source = FolderSource(
      [f'{SHARED}/faces/train_112_{name}.zip' for name in ('pins', 'glint')]
    )
    self.assertLen(source.labels, 11_471 + 3_465)
    self.assertLen(source.identities, 105 + 24 - 7)
    self.assertTrue(source.read(12_000).startswith(b'\xff\xd8'))

  def test_celeba_by_its_own_list_has_four_images_of_each_of_ten(self):
    root = f'{SHARED}/faces/raw_sample'
    source = FolderSource([root], image_list=f'{root}/celeba_identity.txt')
    self.assertEqual(np.bincount(source.labels).tolist(), [4] * 10)
    order = sorted_order([source.path(item) for item in range(40)])
    self.assertEqual(source.path(int(order[0])), 'celeba/006916.jpg')
    for item in range(40):
      self.assertTrue(source.read(item).startswith(b'\xff\xd8'))
    self.assertEqual(source.claims()['list']['not_listed'], 60)


if __name__ == '__main__':
  absltest.main()
