"""IJB from official files to a report."""

import os
import shutil

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax import files
from facejax.data.alignment import align_face
from facejax.data.images import decode_image
from facejax.errors import DataError, UsageError
from facejax.evaluation import metrics, sources
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.protocols import ijb
from tests.evaluation import faces
from tests.evaluation.protocols.ijb_files import Ijb, naive_templates


def aligned(written):
  """Every face of a set, cut out one by one."""
  crops = []
  for name, _, _, _ in written.images:
    with open(written.path('loose_crop', name), 'rb') as file:
      photo = decode_image(file.read(), name)
    points = np.round(written.landmarks[name], 3).astype(np.float32)
    crops.append(align_face(photo, points))
  return np.stack(crops)


def naive_features(written, *, keep_norm=True, score=True, flip=True):
  """Weighted features of all images by the letters N, D and F."""
  model, crops = faces.PixelModel(), aligned(written)
  features = model.embed(crops, normalize=False).astype(np.float64)
  if flip:
    features = features + model.embed(crops[:, :, ::-1], normalize=False)
  if not keep_norm:
    features /= np.linalg.norm(features, axis=1, keepdims=True)
  if score:
    features *= np.array([[s] for _, _, _, s in written.images])
  return features


class IjbTest(chex.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.shared_root = absltest.get_default_test_tmpdir() + '/ijb_protocol'
    shutil.rmtree(cls.shared_root, ignore_errors=True)
    cls.written = Ijb(cls.shared_root)

  def source(self, data=None, **fields):
    return sources.ModelSource(
      faces.PixelModel(**fields), data or self.written.root, batch_size=16
    )

  def run_ijb(self, source=None, mode='insightface', **options):
    run = ijb.PROTOCOLS['ijbc'].run
    return run(source or self.source(), mode=mode, **options)

  def naive_scores(self, **letters):
    features = naive_features(self.written, **letters)
    templates = naive_templates(self.written.images, features)
    return np.array(
      [templates[a] @ templates[b] for a, b, _ in self.written.pairs]
    )

  def same(self):
    return np.array([label == 1 for _, _, label in self.written.pairs])

  def test_the_set_is_aligned_pooled_and_verified(self):
    report = self.run_ijb()
    result = report.result
    scores, same = self.naive_scores(), self.same()
    self.assertEqual(result['num_pairs'], 72)
    self.assertEqual(result['num_genuine'], 12)
    self.assertEqual(result['num_images'], 48)
    self.assertEqual(result['num_templates'], 18)
    self.assertIs(result['official'], False)
    self.assertEqual(result['tasks'], ['1:1', '1:N'])
    self.assertEqual(result['template'], 'N1D1F1')
    self.assertEqual(result['template_in_ijb_evals'], 'N0D1F1')
    self.assertIn('five', result['alignment'])
    self.assertAlmostEqual(result['auc'], metrics.auc(scores, same), places=12)
    self.assertAlmostEqual(result['eer'], metrics.eer(scores, same), places=12)
    point = metrics.tar_at_far(scores, same, 0.1)
    self.assertEqual(result['tar_at_far'], {'1e-1': point.tar})
    self.assertAlmostEqual(
      result['thresholds']['1e-1'], point.threshold, places=5
    )
    self.assertEqual(result['smallest_far'], 1 / 60)

  def test_the_drawn_faces_are_recognised_only_when_aligned(self):
    self.assertGreater(self.run_ijb().result['auc'], 0.95)

  @parameterized.parameters(
    ('N1D1F0', True, True, False),
    ('N0D1F1', False, True, True),
    ('N0D0F0', False, False, False),
    ('N1D0F1', True, False, True),
  )
  def test_the_letters_do_what_they_say(self, name, keep, score, flip):
    report = self.run_ijb(
      mode='insightface' if flip else 'plain', template=name, task='1:1'
    )
    scores = self.naive_scores(keep_norm=keep, score=score, flip=flip)
    point = metrics.tar_at_far(scores, self.same(), 0.1)
    self.assertAlmostEqual(
      report.result['thresholds']['1e-1'], point.threshold, places=5
    )
    self.assertEqual(report.result['template'], name)
    self.assertNotIn('identification', report.result)

  def test_identification_agrees_with_loops_over_probes(self):
    result = self.run_ijb(task='1:N').result
    self.assertNotIn('auc', result)
    self.assertEqual(result['num_probes'], 12)
    templates = naive_templates(
      self.written.images, naive_features(self.written)
    )
    gallery = sum(self.written.galleries, [])
    hits = 0
    for probe in self.written.probes:
      best = max(gallery, key=lambda g: templates[g] @ templates[probe])
      hits += self.written.subjects[best] == self.written.subjects[probe]
    variants = result['identification']
    self.assertEqual(variants['concatenated']['rank1'], hits / 12)
    self.assertEqual(variants['averaged']['num_gallery'], 6)
    self.assertEqual(
      [part['num_impostors'] for part in variants['averaged']['galleries']],
      [6, 6],
    )

  def test_the_report_has_curves_and_confused_pairs(self):
    report = self.run_ijb()
    self.assertEqual(list(report.curves.roc), ['N1D1F1'])
    self.assertEqual(list(report.curves.cmc), ['concatenated', 'averaged'])
    self.assertEqual(list(report.curves.dir), ['gallery 1', 'gallery 2'])
    self.assertLen(report.confused, 24)
    scores, same = self.naive_scores(), self.same()
    first, last = report.confused[0], report.confused[12]
    self.assertAlmostEqual(first.score, scores[~same].max(), places=5)
    self.assertAlmostEqual(last.score, scores[same].min(), places=5)
    self.assertFalse(first.genuine)
    self.assertTrue(last.genuine)
    image = decode_image(first.pictures[0], 'picture')
    self.assertEqual(image.shape, (112, 112, 3))

  def test_loose_crops_alone_find_their_lists_beside_them(self):
    data = self.written.path('loose_crop')
    found = self.run_ijb(self.source(data), task='1:1').result
    self.assertEqual(found['lists'], self.written.path('meta'))
    self.assertEqual(found['auc'], self.run_ijb(task='1:1').result['auc'])

  def test_a_zip_needs_its_lists_named_and_prefers_loose_crops(self):
    folder = self.create_tempdir().full_path
    tree = os.path.join(folder, 'IJBC')
    shutil.copytree(self.written.root, tree)
    shutil.copytree(
      os.path.join(tree, 'loose_crop'), os.path.join(tree, 'affine_crop')
    )
    data = faces.write_zip(os.path.join(folder, 'ijbc.zip'), folder)
    with self.assertRaisesRegex(UsageError, 'give their folder with --lists'):
      self.run_ijb(self.source(data))
    for lists in (self.written.root, self.written.path('meta')):
      result = self.run_ijb(self.source(data), lists=lists, task='1:1').result
      self.assertEqual(result['auc'], self.run_ijb(task='1:1').result['auc'])

  def test_saved_embeddings_give_the_same(self):
    model, crops = faces.PixelModel(), aligned(self.written)
    names = tuple(name for name, _, _, _ in self.written.images)
    plain = model.embed(crops, normalize=False)
    flip = model.embed(np.ascontiguousarray(crops[:, :, ::-1]), normalize=False)
    path = os.path.join(self.create_tempdir().full_path, 'ijbc.npz')
    Embeddings(names, plain, flip).save(path)
    expected = self.run_ijb().result
    found = self.run_ijb(SavedSource(path), lists=self.written.path('meta'))
    self.assertEqual(found.result['auc'], expected['auc'])
    self.assertEqual(found.result['identification'], expected['identification'])
    self.assertIsNone(found.confused[0].pictures)
    with self.assertRaisesRegex(UsageError, 'give their folder with --lists'):
      self.run_ijb(SavedSource(path))

  def test_embeddings_without_mirror_images_need_mode_plain(self):
    names = tuple(name for name, _, _, _ in self.written.images)
    path = os.path.join(self.create_tempdir().full_path, 'plain.npz')
    rng = np.random.default_rng(0)
    Embeddings(names, rng.normal(size=(48, 4)).astype(np.float32)).save(path)
    lists = self.written.path('meta')
    with self.assertRaisesRegex(UsageError, 'mirrored images: use mode plain'):
      self.run_ijb(SavedSource(path), lists=lists)
    result = self.run_ijb(
      SavedSource(path), mode='plain', lists=lists, task='1:1'
    ).result
    self.assertEqual(result['template'], 'N1D1F0')

  @parameterized.parameters(
    ({'mode': 'sphereface'}, 'mode insightface'),
    ({'template': 'N1D1'}, "template 'N1D1': use N0 or N1"),
    ({'template': 'N1D1F0'}, 'disagree about mirror images: use --mode=plain'),
    (
      {'template': 'N1D1F1', 'mode': 'plain'},
      'disagree about mirror images: use --mode=insightface',
    ),
    ({'task': '1:2'}, "task '1:2': use '1:1', '1:N' or 'both'"),
    ({'lists': '/nowhere'}, 'ijbc_face_tid_mid.txt and others'),
  )
  def test_wrong_options_are_refused(self, options, message):
    with self.assertRaisesRegex(UsageError, message):
      self.run_ijb(**options)

  def copied(self):
    root = self.create_tempdir().full_path
    shutil.copytree(self.written.root, root, dirs_exist_ok=True)
    return root

  def test_without_lists_of_1n_only_1_to_1_is_run(self):
    root = self.copied()
    os.remove(os.path.join(root, 'meta', 'ijbc_1N_gallery_G2.csv'))
    self.assertEqual(self.run_ijb(self.source(root)).result['tasks'], ['1:1'])
    with self.assertRaisesRegex(DataError, 'G2.csv: cannot be read'):
      self.run_ijb(self.source(root), task='both')
    os.remove(os.path.join(root, 'meta', 'ijbc_template_pair_label.txt'))
    with self.assertRaisesRegex(DataError, 'holds neither'):
      self.run_ijb(self.source(root))

  def test_an_unreadable_or_missing_image_is_named(self):
    root = self.copied()
    path = os.path.join(root, 'loose_crop', '5.png')
    with open(path, 'wb') as file:
      file.write(b'no image')
    with self.assertRaisesRegex(DataError, 'loose_crop/5.png: is no readable'):
      self.run_ijb(self.source(root))
    os.remove(path)
    with self.assertRaisesRegex(DataError, 'no image 5.png'):
      self.run_ijb(self.source(root))

  def test_landmarks_that_are_one_point_name_their_image(self):
    root = self.copied()
    path = os.path.join(root, 'meta', 'ijbc_name_5pts_score.txt')
    lines = files.Path(path).read_text().splitlines()
    lines[6] = '7.png ' + ' '.join(['50'] * 10) + ' 0.9'
    files.Path(path).write_text('\n'.join(lines))
    with self.assertRaisesRegex(DataError, '7.png: all five landmarks are one'):
      self.run_ijb(self.source(root))

  def test_ijbb_has_files_of_its_own(self):
    written = Ijb(self.create_tempdir().full_path, 'ijbb')
    run = ijb.PROTOCOLS['ijbb'].run
    result = run(self.source(written.root), mode='plain').result
    self.assertEqual(result['protocol'], 'ijbb')
    self.assertEqual(result['identification']['averaged']['num_probes'], 12)

  def test_only_published_counts_are_official(self):
    spec = ijb.IJBC
    self.assertEqual(
      spec.num_templates, sum(spec.num_gallery) + spec.num_probes
    )
    self.assertEqual(
      ijb.IJBB.num_templates, sum(ijb.IJBB.num_gallery) + ijb.IJBB.num_probes
    )


if __name__ == '__main__':
  absltest.main()
