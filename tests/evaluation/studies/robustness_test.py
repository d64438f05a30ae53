"""Rates under damage against the same done image by image."""

import json
import os
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.images import decode_image, encode_jpeg
from facejax.data.protocols import read_lfw_pairs
from facejax.errors import UsageError
from facejax.evaluation import sources
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.protocols.pair_lists import verify
from facejax.evaluation.studies import degradations
from facejax.evaluation.studies.damaged_probes import (
  DamagedProbes,
  choose_kinds,
)
from facejax.evaluation.studies.degradations import DAMAGES, Damage, damage
from facejax.evaluation.studies.robustness import (
  first_of_folds,
  measure_robustness,
)
from tests.evaluation import faces

NOTHING = Damage('nothing', 'times', (1, 2), None, lambda image, *_: image)


class RobustnessTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.source = sources.ModelSource(
      faces.PixelModel(), os.path.join(root, 'data'), batch_size=5, name='m'
    )
    self.pairs = read_lfw_pairs(
      faces.write_lfw_list(os.path.join(root, 'lfw_pairs.txt'))
    )

  def measure(self, mode='insightface', **options):
    results, _, embeddings = verify(self.source, self.pairs, mode=mode)
    self.source.model.shapes.clear()
    found = measure_robustness(
      self.source, self.pairs, results[mode], embeddings, **options
    )
    return found, results[mode]

  def naive_scores(self, mode, kind, level, seed):
    """Score of each pair, its second image damaged."""
    model, scores = faces.PixelModel(), []
    for pair in zip(self.pairs.names_a, self.pairs.names_b, strict=True):
      features = []
      for place, name in enumerate(pair):
        stored = encode_jpeg(faces.crop(int(name[1]), int(name[-5]) - 1))
        image = decode_image(stored, name)
        if place == 1:
          image = damage(image, kind, level, name=name, seed=seed)
        feature = model.embed(image[None], normalize=False)[0]
        if mode == 'insightface':
          feature = (
            feature + model.embed(image[None, :, ::-1], normalize=False)[0]
          )
        features.append(feature / np.linalg.norm(feature))
      scores.append(float(features[0] @ features[1]))
    scores = np.array(scores)
    return 2 * scores - 2 if mode == 'insightface' else scores

  @parameterized.parameters(
    ('insightface', 'downsample', 8),
    ('plain', 'occlusion', 0.4),
    ('plain', 'brightness', 0.1),
  )
  def test_rates_are_those_of_damaging_image_by_image(self, mode, kind, level):
    found, result = self.measure(mode, kinds=[kind], seed=3)
    scores = self.naive_scores(mode, kind, level, seed=3)
    rates = found.damaged[kind][level]
    # 18 impostor pairs resolve 0.1: one of them may be accepted.
    self.assertEqual(found.far, 0.1)
    threshold = np.sort(result.scores[~result.same])[-2]
    self.assertAlmostEqual(found.threshold, result.measured(threshold))
    same = self.pairs.same
    self.assertAlmostEqual(rates.tar, np.mean(scores[same] > threshold))
    self.assertAlmostEqual(rates.far, np.mean(scores[~same] > threshold))
    fixed = np.array([result.fold_thresholds[fold] for fold in result.folds])
    self.assertAlmostEqual(rates.accuracy, np.mean((scores > fixed) == same))
    accepted = result.scores > threshold
    self.assertEqual(found.untouched.tar, accepted[same].mean())
    self.assertEqual(found.untouched.far, 1 / 18)
    self.assertAlmostEqual(found.untouched.accuracy, result.accuracy)

  def test_no_damage_at_all_changes_no_rate(self):
    with mock.patch.dict(degradations.DAMAGES, {'nothing': NOTHING}):
      found, _ = self.measure(kinds=['nothing'])
      self.assertEqual(
        list(found.damaged['nothing'].values()), [found.untouched] * 2
      )
      # Without a neutral level a curve has the measured ones only.
      curve = found.curves()['nothing tar']
      self.assertEqual(curve.levels.tolist(), [1, 2])

  def test_only_second_images_are_embedded_batch_by_batch(self):
    found, _ = self.measure(kinds=['occlusion'], num_pairs=12)
    self.assertEqual((found.num_genuine, found.num_impostors), (6, 6))
    # Three genuine and three impostor pairs of each fold.
    seconds = {
      self.pairs.names_b[pair]
      for pair in first_of_folds(self.pairs.same, self.pairs.folds, count=12)
    }
    self.assertEqual(found.num_probes, len(seconds))
    levels = len(DAMAGES['occlusion'].levels)
    calls = 2 * levels * -(-len(seconds) // 5)
    self.assertEqual(
      self.source.model.shapes, [((5, 112, 112, 3), 'uint8')] * calls
    )

  def test_the_same_seed_gives_the_same(self):
    first, _ = self.measure('plain', kinds=['occlusion'], seed=1)
    again, _ = self.measure('plain', kinds=['occlusion'], seed=1)
    other, _ = self.measure('plain', kinds=['occlusion'], seed=2)
    self.assertEqual(first, again)
    self.assertNotEqual(first.damaged, other.damaged)

  def test_json_and_curves_say_the_same(self):
    found, _ = self.measure(kinds=['brightness', 'jpeg'], num_pairs=1000)
    result = json.loads(json.dumps(found.to_json(), allow_nan=False))
    self.assertEqual([*result['robustness']], ['brightness', 'jpeg'])
    rows = result['robustness']['brightness']
    self.assertEqual(
      [row['level'] for row in rows], [0.1, 0.25, 0.5, 1.5, 2, 3]
    )
    self.assertEqual(
      rows[0]['tar_interval_95'], [*wilson_interval(rows[0]['tar'], 18)]
    )
    self.assertEqual(result['robustness_of']['num_pairs'], 36)
    self.assertEqual(result['robustness_of']['seed'], 0)
    self.assertEqual(result['robustness_of']['far'], 0.1)
    untouched = result['robustness_of']['untouched']
    curves = found.curves()
    self.assertLen(curves, 6)
    for key in ('accuracy', 'accuracy_new_thresholds', 'tar'):
      curve = curves[f'brightness {key}']
      self.assertEqual(curve.untouched, untouched[key])
      self.assertEqual(curve.levels.tolist(), [0.1, 0.25, 0.5, 1, 1.5, 2, 3])
      expected = [row[key] for row in rows]
      expected.insert(3, untouched[key])
      self.assertEqual(curve.values.tolist(), expected)
    self.assertEqual(
      curves['jpeg tar'].result,
      'TAR of 18 pairs, threshold of FAR 1e-1 without damage',
    )

  def test_every_fold_gives_its_first_pairs_of_each_kind(self):
    same = np.tile([True, True, True, False, False, False], 4)
    folds = np.repeat(np.arange(4), 6)
    chosen = first_of_folds(same, folds, count=16)
    self.assertEqual(
      chosen.tolist(), [6 * fold + i for fold in range(4) for i in (0, 1, 3, 4)]
    )
    # At least one of each, and never more than there are.
    self.assertLen(first_of_folds(same, folds, count=2), 8)
    self.assertLen(first_of_folds(same, folds, count=23), 16)
    self.assertLen(first_of_folds(same, folds, count=24), 24)
    uneven = np.arange(24) < 20
    chosen = first_of_folds(uneven, folds, count=16)
    self.assertEqual(chosen.tolist(), [0, 1, 6, 7, 12, 13, 18, 19, 20, 21])

  @parameterized.parameters(
    ('all', tuple(DAMAGES)),
    ('jpeg, blur,jpeg', ('jpeg', 'blur')),
    (['mask'], ('mask',)),
  )
  def test_kinds_are_chosen_by_name(self, asked, expected):
    self.assertEqual(choose_kinds(asked), expected)

  @parameterized.parameters('fog', '', 'all,blur', 'blur,')
  def test_unknown_kinds_are_refused(self, asked):
    with self.assertRaisesRegex(UsageError, 'use all or some of blur,jpeg'):
      choose_kinds(asked)

  def test_probes_are_embedded_in_their_order(self):
    names = ['P1/P1_0002.jpg', 'P0/P0_0001.jpg']
    found = DamagedProbes(self.source, names).embed('jpeg', 75, flip=True)
    alone = [
      DamagedProbes(self.source, [name]).embed('jpeg', 75, flip=True)
      for name in names
    ]
    self.assertEqual(found.names, tuple(names))
    for side in ('plain', 'flip'):
      expected = np.concatenate([getattr(one, side) for one in alone])
      np.testing.assert_allclose(getattr(found, side), expected, rtol=1e-5)
    without = DamagedProbes(self.source, names).embed('jpeg', 75, flip=False)
    self.assertIsNone(without.flip)


if __name__ == '__main__':
  absltest.main()
