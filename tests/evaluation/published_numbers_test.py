"""Numbers of published tools, from the embeddings of a published model."""

import os

import numpy as np
import pytest

from facejax.data import protocols
from facejax.evaluation.verification import verify_pairs


@pytest.fixture(scope='module')
def real_pairs(shared):
  """Embeddings of LFW by a published model, and the pairs of View 2."""
  path = os.path.join(shared, 'weights', 'xiaoccer_lfw_embeddings_f16.npz')
  with np.load(path) as saved:
    plain, flip, names = saved['plain'], saved['flip'], saved['names'].tolist()
  pairs = protocols.read_lfw_pairs(
    os.path.join(shared, 'faces', 'lfw_pairs.txt')
  )
  return plain, flip, *pairs.index(names), pairs.same, pairs.folds


@pytest.mark.parametrize(
  ('mode', 'accuracy'), [('sphereface', 99.18), ('insightface', 98.88)]
)
def test_real_embeddings_give_their_published_accuracy(
  real_pairs, mode, accuracy
):
  result = verify_pairs(*real_pairs, mode=mode)
  assert round(100 * result.accuracy, 2) == accuracy
  assert list(result.points) == [1e-1, 1e-2, 1e-3]


def insightface_val(dist, same, train):
  """The threshold where the training folds accept a thousandth, and none."""
  thresholds = np.arange(0, 4, 0.001)
  far = [np.mean(dist[train & ~same] < t) for t in thresholds]
  if max(far) < 1e-3:
    return 0.0
  last = max(i for i, f in enumerate(far) if f <= 1e-3)
  share = (1e-3 - far[last]) / (far[last + 1] - far[last])
  return thresholds[last] + share * 0.001


def test_real_numbers_are_those_of_insightface(real_pairs):
  plain, flip, a, b, same, _ = real_pairs
  total = plain.astype(np.float64) + flip.astype(np.float64)
  total /= np.sqrt((total**2).sum(1, keepdims=True))
  dist = ((total[a] - total[b]) ** 2).sum(1)
  accuracies, tars, fars = [], [], []
  for fold in range(10):  # KFold(10, shuffle=False) of 6,000 pairs
    test = np.arange(6000) // 600 == fold
    train = ~test
    right = [
      np.mean((dist[train] < t) == same[train]) for t in np.arange(0, 4, 0.01)
    ]
    best = np.arange(0, 4, 0.01)[int(np.argmax(right))]
    accuracies.append(np.mean((dist[test] < best) == same[test]))
    accepted = dist < insightface_val(dist, same, train)
    tars.append(np.mean(accepted[test & same]))
    fars.append(np.mean(accepted[test & ~same]))
  report = verify_pairs(*real_pairs, mode='insightface').to_json()
  np.testing.assert_array_equal(report['fold_accuracies'], accuracies)
  assert report['accuracy'] == pytest.approx(np.mean(accuracies), abs=1e-15)
  assert report['std'] == pytest.approx(np.std(accuracies), abs=1e-15)
  val = report['fold_tar_at_far']['1e-3']
  np.testing.assert_allclose(
    [val['tar'], val['std'], val['far']],
    [np.mean(tars), np.std(tars), np.mean(fars)],
    rtol=0,
    atol=1e-12,
  )


def test_real_rates_are_those_of_plain_counting(real_pairs):
  plain, flip, a, b, same, folds = real_pairs
  result = verify_pairs(*real_pairs, mode='plain')
  unit = plain.astype(np.float64)
  unit /= np.sqrt((unit**2).sum(1, keepdims=True))
  cosine = (unit[a] * unit[b]).sum(1)
  genuine, impostor = cosine[same], np.sort(cosine[~same])
  for far, point in result.points.items():
    threshold = impostor[2999 - round(far * 3000)]
    assert point.threshold == pytest.approx(threshold, abs=1e-12)
    assert point.tar == pytest.approx(np.mean(genuine > threshold), abs=1e-12)
    assert point.far == pytest.approx(far)
  wins = [np.mean(g > impostor) for g in genuine]
  assert result.auc == pytest.approx(np.mean(wins), abs=1e-12)
