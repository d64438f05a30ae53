"""The lists of the published sets: found, read, and told from others."""

import os
from unittest import mock

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data.images import encode_jpeg
from facejax.data.protocols import read_cfp_pairs, read_lfw_pairs
from facejax.errors import DataError, UsageError
from facejax.evaluation import embeddings, protocols, sources
from tests.data.pair_lists.cfp_folders import write_cfp
from tests.evaluation import faces


class PublishedListsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.data = os.path.join(self.root, 'data')

  def source(self):
    return sources.ModelSource(faces.PixelModel(), self.data, batch_size=16)

  def write_list(self, name, lines):
    path = os.path.join(self.root, name)
    with open(path, 'w') as file:
      file.write('\n'.join(lines) + '\n')
    return path

  @parameterized.parameters(
    ('agedb30', 'agedb_30_pair.txt', '{a} {b} {sign}'),
    ('agedb30', 'agedb_30_ann.txt', '{label} {a} {b}'),
    ('calfw', 'pairs_CALFW.txt', '{a} {fold}\n{b} {fold}'),
    ('cplfw', 'pairs_CPLFW.txt', '{a} {label}\n{b} {label}'),
    ('cplfw', 'data/cplfw_ann.txt', '{label} {a} {b}'),
    ('lfw', 'data/pairs.txt', '{a} {b} {label}'),
  )
  def test_every_set_finds_its_list_and_reads_its_forms(
    self, protocol, name, form
  ):
    pairs = [
      (f'P{p}/P{p}_0001.jpg', f'P{q}/P{q}_000{i}.jpg', p == q)
      for p, q in ((0, 0), (1, 1), (2, 3), (4, 5))
      for i in (2, 3)
    ]
    lines = [
      form.format(
        a=a, b=b, label=int(same), sign=2 * same - 1, fold=same * (1 + k // 2)
      )
      for k, (a, b, same) in enumerate(pairs)
    ]
    path = self.write_list(name, lines)
    result = protocols.evaluate(protocol, self.source()).result
    self.assertEqual(result['pairs'], path)
    self.assertEqual(result['num_pairs'], 8)
    self.assertEqual(result['num_genuine'], 4)
    self.assertEqual(result['num_folds'], 2 if '{fold}' in form else 4)
    self.assertIs(result['official'], False)
    self.assertIsNone(result['set'])

  @parameterized.parameters('.', 'Data', 'cfp/x')
  def test_cfp_finds_its_folder_beside_inside_and_above_the_data(self, data):
    root = os.path.join(self.root, 'cfp')
    write_cfp(root)
    names = [
      f'{person:03d}/{pose}/{i:02d}.jpg'
      for person in range(1, 5)
      for pose in ('frontal', 'profile')
      for i in range(1, 11)
    ]
    rng = np.random.default_rng(0)
    path = os.path.join(root, data, 'e.npz')
    saved = embeddings.Embeddings(
      tuple('Data/Images/' + name for name in names),
      rng.normal(size=(len(names), 4)),
    )
    os.makedirs(os.path.dirname(path), exist_ok=True)
    saved.save(path)
    source = embeddings.SavedSource(path)
    if data == 'cfp/x':
      with self.assertRaisesRegex(UsageError, 'no Protocol or ../Protocol'):
        protocols.evaluate('cfp_fp', source, mode='plain')
      return
    for protocol in ('cfp_ff', 'cfp_fp'):
      report = protocols.evaluate(protocol, source, mode='plain')
      self.assertEqual(report.result['num_pairs'], 12)
      self.assertEqual(report.result['num_folds'], 2)
      pose = {'cfp_ff': 'frontal', 'cfp_fp': 'profile'}[protocol]
      for pair in report.confused:
        self.assertIn('/frontal/', pair.first)
        self.assertIn(f'/{pose}/', pair.second)

  def test_images_of_a_zip_answer_to_bare_names(self):
    path = faces.write_zip(os.path.join(self.root, 'crops.zip'), self.data)
    self.write_list(
      'pairs_CPLFW.txt',
      [
        f'P{p}_0001.jpg {int(p == q)}\nP{q}_0002.jpg {int(p == q)}'
        for p, q in ((0, 0), (1, 1), (2, 3), (4, 5))
      ],
    )
    source = sources.ModelSource(faces.PixelModel(), path, batch_size=8)
    result = protocols.evaluate('cplfw', source).result
    self.assertEqual(result['num_images'], 8)
    self.assertEqual(result['auc'], 1.0)

  def test_cfp_is_verified_from_its_images(self):
    root = os.path.join(self.root, 'cfp')
    pairs = read_cfp_pairs(write_cfp(root), poses='FP')
    for name in pairs.images():
      person, pose, image = name.split('/')
      path = os.path.join(root, 'crops', name)
      os.makedirs(os.path.dirname(path), exist_ok=True)
      with open(path, 'wb') as file:
        number = int(image[:2]) + (10 if pose == 'profile' else 0)
        file.write(encode_jpeg(faces.crop(int(person), number)))
    source = sources.ModelSource(faces.PixelModel(), root, batch_size=8)
    report = protocols.evaluate('cfp_fp', source)
    self.assertEqual(report.result['pairs'], os.path.join(root, 'Protocol'))
    self.assertEqual(report.result['auc'], 1.0)
    self.assertTrue(all(pair.pictures for pair in report.confused))

  @parameterized.parameters(
    ('lfw', 'a.jpg 1\nb.jpg 1', "line 1: expected a header like '10 300'"),
    ('agedb30', 'a.jpg 1\nb.jpg 1', "line 1: expected 'path_a path_b 0|1'"),
    ('cplfw', '1\nA 1 2\nA 1 B 2', "line 1: expected 'image label'"),
    ('cfp_fp', '1\nA 1 2\nA 1 B 2', 'no Protocol folder of CFP'),
    ('pairs', 'a b c d', "line 1: expected 'path_a path_b 0|1'"),
  )
  def test_a_list_of_another_form_says_the_form_expected(
    self, protocol, text, message
  ):
    path = self.write_list('other.txt', [text])
    with self.assertRaisesRegex(DataError, message):
      protocols.evaluate(protocol, self.source(), pairs=path)

  def test_a_list_that_is_not_the_published_one_is_noted(self):
    pairs = faces.write_lfw_list(os.path.join(self.root, 'lfw_pairs.txt'))
    with mock.patch('facejax.files.note') as note:
      result = protocols.evaluate('lfw', self.source()).result
    self.assertIs(result['official'], False)
    note.assert_called_once_with(
      'protocol lfw: 36 pairs, the published set has 6,000'
    )
    with mock.patch('facejax.files.note') as note:
      protocols.evaluate('pairs', self.source(), pairs=pairs)
    note.assert_not_called()


@pytest.mark.parametrize(
  ('name', 'published'),
  [
    ('lfw_pairs.txt', 'LFW View 2'),
    ('lfw_pairs_dev_train.txt', 'LFW View 1, training'),
    ('lfw_pairs_dev_test.txt', 'LFW View 1, test'),
  ],
)
def test_the_views_of_lfw_are_official(shared, tmp_path, name, published):
  pairs = os.path.join(shared, 'faces', name)
  images = read_lfw_pairs(pairs).images()
  plain = np.random.default_rng(0).normal(size=(len(images), 2))
  path = tmp_path / 'e.npz'
  embeddings.Embeddings(tuple(images), plain).save(path)
  with mock.patch('facejax.files.note') as note:
    report = protocols.evaluate(
      'lfw', embeddings.SavedSource(path), mode='plain', pairs=pairs
    )
  note.assert_not_called()
  assert report.result['official'] is True
  assert report.result['set'] == published
  assert report.title.startswith(f'{published}: ')


if __name__ == '__main__':
  absltest.main()
