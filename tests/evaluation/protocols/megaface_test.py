"""Protocol megaface from end to end: files in, report and files out."""

import json
import os
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.feature_files import FeatureFolderSource
from facejax.evaluation.protocols import megaface
from facejax.evaluation.sources import EmbeddingSource, ModelSource
from tests.evaluation import faces
from tests.evaluation.naive_megaface import naive_point, naive_ranks

PROTOCOL = megaface.PROTOCOLS['megaface']
PROBES = tuple(f'P{i // 3}/P{i // 3}_{i}.jpg' for i in range(15))
OTHERS = tuple(f'{i % 5}/Q{i // 2}/{i}.jpg' for i in range(120))
LABELS = np.arange(15) // 3


def features(count, seed):
  """Raw embeddings; those of the probes of a person are alike."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(count, 8))
  if count == len(PROBES):
    x = np.repeat(rng.normal(size=(5, 8)), 3, axis=0) + x
  return x.astype(np.float32)


def unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


class MegaFaceProtocolTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    self.probes = SavedSource(self.npz('probes', PROBES, 0))
    self.others = self.npz('others', OTHERS, 1)

  def path(self, name, lines=None):
    path = os.path.join(self.root, name)
    if lines is not None:
      with open(path, 'w') as file:
        file.write('\n'.join(lines) + '\n')
    return path

  def npz(self, stem, names, seed):
    plain = features(len(names), seed)
    Embeddings(
      names=names, plain=plain, flip=plain + features(len(names), 9) / 9
    ).save(self.path(f'{stem}.npz'))
    return self.path(f'{stem}.npz')

  def run_protocol(self, source=None, **options):
    options = {'mode': 'plain', 'distractors': self.others} | options
    self.assertLessEqual(options.keys() - {'mode'}, PROTOCOL.options)
    return PROTOCOL.run(source or self.probes, **options)

  @parameterized.parameters('plain', 'insightface')
  def test_the_result_is_what_plain_loops_give(self, mode):
    result = self.run_protocol(mode=mode).result
    probes, others = features(15, 0), features(120, 1)
    order = np.argsort(PROBES, kind='stable'), np.argsort(OTHERS)
    if mode == 'insightface':
      probes = 2 * probes + features(15, 9) / 9
      others = 2 * others + features(120, 9) / 9
    probes, others = unit(probes)[order[0]], unit(others)[order[1]]
    labels = LABELS[order[0]]
    ranks = np.array(naive_ranks(probes, labels, others))
    np.testing.assert_allclose(
      result['cmc'], [(ranks <= rank).mean() for rank in range(1, 21)]
    )
    self.assertEqual(result['rank1'], result['cmc'][0])
    tar, far, threshold = naive_point(probes, labels, others, 1e-3)
    self.assertAlmostEqual(result['tar_at_far']['1e-3'], tar)
    self.assertAlmostEqual(result['far_at_threshold']['1e-3'], far)
    self.assertAlmostEqual(result['thresholds']['1e-3'], threshold, places=6)
    self.assertEqual(set(result['tar_at_far']), {'1e-3'})
    self.assertFalse(result['official'])
    self.assertEqual(
      (result['num_people'], result['num_impostors'], result['measure']),
      (5, 1800, 'cosine'),
    )
    json.dumps(result)

  def test_the_report_draws_curves_and_names_the_confused(self):
    report = self.run_protocol()
    self.assertSequenceEqual(list(report.curves.cmc), ['plain'])
    self.assertEqual(report.curves.roc['plain'].num_impostors, 1800)
    kinds = [pair.genuine for pair in report.confused]
    self.assertSequenceEqual(kinds, sorted(kinds))
    self.assertIn(report.confused[0].first, PROBES)
    self.assertIn(report.confused[0].second, OTHERS)
    self.assertIsNone(report.confused[0].pictures)
    with (
      mock.patch.object(megaface, '_OFFICIAL_PROBES', ((5, 15),)),
      mock.patch.object(megaface, '_OFFICIAL_DISTRACTORS', 120),
    ):
      self.assertTrue(self.run_protocol().result['official'])

  def test_lists_choose_images_people_and_order(self):
    chosen = {'path': [PROBES[4], PROBES[0], PROBES[1]], 'id': ['x', 'y', 'y']}
    report = self.run_protocol(
      probe_list=self.path('probes.json', [json.dumps(chosen)]),
      distractor_list=self.path('others.txt', OTHERS[::-1]),
      num_distractors=30,
      far=[0.1],
    )
    result = report.result
    self.assertEqual(
      [
        result[f'num_{what}']
        for what in ('probes', 'people', 'people_with_one_image', 'distractors')
      ],
      [3, 2, 1, 30],
    )
    probes = unit(features(15, 0))[[4, 0, 1]]
    others = unit(features(120, 1))[::-1][:30]
    ranks = np.array(naive_ranks(probes, [0, 1, 1], others))
    self.assertAlmostEqual(result['rank1'], (ranks == 1).mean())
    tar, _, threshold = naive_point(probes, [0, 1, 1], others, 0.1)
    self.assertAlmostEqual(result['tar_at_far']['1e-1'], tar)
    self.assertAlmostEqual(result['thresholds']['1e-1'], threshold, places=6)

  @parameterized.parameters('insightface', 'facex_zoo')
  def test_noise_lists_give_a_refined_result_beside_the_original(self, rule):
    report = self.run_protocol(
      probe_noise=self.path('p.txt', ['# noise', 'P1_4.jpg', 'no.jpg']),
      distractor_noise=self.path('d.txt', [f'7\t{OTHERS[3]}', OTHERS[60]]),
      refined_rule=rule,
    )
    refined = report.result['refined']
    self.assertEqual(
      (refined['num_probe_noise'], refined['num_distractor_noise']), (1, 2)
    )
    self.assertEqual(refined['num_unknown_noise'], 1)
    self.assertEqual(refined['num_impostors'], 1800)
    self.assertEqual(refined['rule'], rule)
    probes, others = unit(features(15, 0)), unit(features(120, 1))
    probes[4] = unit(probes[[3]] + probes[[5]])
    others[[3, 60]] = 0
    if rule == 'insightface':
      others = np.delete(others, [3, 60], axis=0)
    ranks = np.array(naive_ranks(probes, LABELS, others))
    self.assertAlmostEqual(refined['rank1'], (ranks == 1).mean())
    self.assertAlmostEqual(refined['cmc'][9], (ranks <= 10).mean())
    self.assertSequenceEqual(
      list(report.curves.cmc), ['plain', 'plain, refined']
    )
    self.assertEqual(
      {k: v for k, v in report.result.items() if k != 'refined'},
      self.run_protocol().result,
    )

  def test_saved_features_give_the_same_result_again(self):
    saved = self.path('saved')
    first = self.run_protocol(
      save_features=saved,
      probe_noise=self.path('p.txt', ['P1_4.jpg']),
      distractor_noise=self.path('d.txt', [OTHERS[3]]),
    )
    lists = os.path.join(saved, 'original', 'templatelists')
    again = self.run_protocol(
      FeatureFolderSource(os.path.join(saved, 'original', 'probes')),
      distractors=os.path.join(saved, 'original', 'distractors'),
      probe_list=os.path.join(lists, 'facescrub_features_list.json'),
      distractor_list=os.path.join(lists, 'megaface_features_list.json_120_1'),
    )
    self.assertEqual(first.result['rank1'], again.result['rank1'])
    self.assertEqual(first.result['cmc'], again.result['cmc'])
    self.assertEqual(first.result['tar_at_far'], again.result['tar_at_far'])
    original, refined = first.result['devkit_commands']
    self.assertIn(f'{saved}/original/probes _facejax.bin', original)
    self.assertIn('-s 120 -p', refined)
    far = FeatureFolderSource(os.path.join(saved, 'refined', 'distractors'))
    found = far.embed([OTHERS[3], OTHERS[4]], flip=False).plain
    self.assertEqual(found[:, 8].tolist(), [100, 0])
    others = unit(features(120, 1))[[3, 4]]
    np.testing.assert_allclose(found[:, :8], others, atol=1e-6)

  def test_images_of_both_sets_are_embedded_and_shown(self):
    folder = faces.write_folder(self.path('faces'))
    source = ModelSource(faces.PixelModel(), folder, batch_size=8)
    self.assertIsInstance(source, EmbeddingSource)
    report = self.run_protocol(
      source, distractors=folder, same_names='keep', far=[]
    )
    self.assertEqual(report.result['num_distractors'], 24)
    # Everybody is among the distractors, and as good as a mate can be.
    self.assertLess(report.result['rank1'], 1)
    first, second = report.confused[0].pictures
    self.assertEqual((first[:2], second[:2]), (b'\xff\xd8', b'\xff\xd8'))
    written = report.write(self.path('report'))
    self.assertContainsSubset(['cmc.png', 'roc.png'], written['figures'])

  def test_bad_requests_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'needs --distractors'):
      self.run_protocol(distractors=None)
    with self.assertRaisesRegex(UsageError, 'mean of all images at once'):
      self.run_protocol(mode='sphereface')
    with self.assertRaisesRegex(UsageError, 'insightface or facex_zoo'):
      self.run_protocol(refined_rule='none')
    with self.assertRaisesRegex(UsageError, 'P0 and 4 others are folders'):
      self.run_protocol(distractors=str(self.probes.path))
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self.run_protocol(save_features=self.root)
    with self.assertRaisesRegex(UsageError, 'cannot be read from 1800'):
      self.run_protocol(far=[1e-6])
    with self.assertRaisesRegex(DataError, 'nobody has two probe images'):
      self.run_protocol(probe_list=self.path('one.txt', [PROBES[0]]))
    flat = self.npz('flat', OTHERS, 1)
    Embeddings(names=OTHERS, plain=features(120, 1)[:, :6]).save(flat)
    with self.assertRaisesRegex(DataError, '8 values, distractors 6'):
      self.run_protocol(distractors=flat)


if __name__ == '__main__':
  absltest.main()
