"""The networks against convolutions written as loops."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import cascade, networks
from facejax.detection.weights import load_weights
from facejax.trees import parameter_count
from tests.preparation.face_sets import draw


def convolve(x, part):
  """A convolution and PReLU, output pixel by output pixel."""
  kernel = np.asarray(part['conv']['kernel'], np.float64)
  size = len(kernel)
  rows, columns = (n - size + 1 for n in x.shape[:2])
  y = np.zeros((rows, columns, kernel.shape[-1]))
  for i in range(rows):
    for j in range(columns):
      window = x[i : i + size, j : j + size]
      y[i, j] = np.tensordot(window, kernel, axes=3)
  y += part['conv']['bias']
  return np.where(y > 0, y, y * part['activation']['slope'])


def pool(x, size, *, cover):
  """Maxima at stride 2; `cover` lets the last window hang over the edge.

  Where a side needs one pixel of padding it is put behind it, and where it
  needs two, one is put before it too, as TensorFlow's SAME does.
  """
  height, width = x.shape[:2]
  if cover:
    missing = [max((-(-n // 2) - 1) * 2 + size - n, 0) for n in (height, width)]
    edges = [(m // 2, m - m // 2) for m in missing]
    x = np.pad(x, (*edges, (0, 0)), constant_values=-np.inf)
  rows, columns = ((n - size) // 2 + 1 for n in x.shape[:2])
  return np.array(
    [
      [
        x[2 * i : 2 * i + size, 2 * j : 2 * j + size].max((0, 1))
        for j in range(columns)
      ]
      for i in range(rows)
    ]
  )


def dense(x, part):
  return x @ np.asarray(part['kernel'], np.float64) + part['bias']


def hidden(x, part):
  y = dense(x.ravel(), part['dense'])
  return np.where(y > 0, y, y * part['activation']['slope'])


def face_probability(x, part):
  y = np.exp(dense(x, part))
  return y[..., 1] / y.sum(-1)


def pnet(x, p):
  x = pool(convolve(x, p['block1']), 2, cover=True)
  x = convolve(convolve(x, p['block2']), p['block3'])
  return face_probability(x, p['scores']), dense(x, p['offsets'])


def rnet(x, p):
  x = pool(convolve(x, p['block1']), 3, cover=True)
  x = pool(convolve(x, p['block2']), 3, cover=False)
  x = hidden(convolve(x, p['block3']), p['hidden'])
  return face_probability(x, p['scores']), dense(x, p['offsets'])


def onet(x, p):
  x = pool(convolve(x, p['block1']), 3, cover=True)
  x = pool(convolve(x, p['block2']), 3, cover=False)
  x = pool(convolve(x, p['block3']), 2, cover=True)
  x = hidden(convolve(x, p['block4']), p['hidden'])
  points = dense(x, p['landmarks'])
  return (
    face_probability(x, p['scores']),
    dense(x, p['offsets']),
    np.stack([points[:5], points[5:]], axis=1),
  )


class NetworksTest(chex.TestCase):
  @parameterized.parameters(
    (pnet, (22, 30)), (rnet, (24, 24)), (onet, (48, 48))
  )
  def test_outputs_equal_loops_over_the_published_weights(self, oracle, size):
    params = load_weights()[oracle.__name__]
    images = np.stack([draw(seed, size) for seed in range(2)])
    found = cascade.run_network(oracle.__name__, params, images)
    for i, image in enumerate(images):
      expected = oracle((image / 1.0 - 127.5) / 128, params)
      for output, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(output[i], value, atol=2e-5)

  def test_sizes_are_those_of_the_paper(self):
    counts = {
      name: parameter_count(shapes)
      for name, shapes in networks.parameter_shapes().items()
    }
    # P-Net by hand: 280 + 1456 + 4640 of convolutions with 58 slopes, and
    # 33 for each of 6 outputs.
    self.assertEqual(counts['pnet'], 280 + 1456 + 4640 + 58 + 6 * 33)
    self.assertEqual(counts, {'pnet': 6632, 'rnet': 100178, 'onet': 389040})

  def test_any_number_of_images_gives_that_many_outputs(self):
    params = load_weights()['rnet']
    images = np.stack([draw(seed, (24, 24)) for seed in range(70)])
    scores, offsets = cascade.run_network('rnet', params, images)
    self.assertEqual((scores.shape, offsets.shape), ((70,), (70, 4)))
    few, _ = cascade.run_network('rnet', params, images[66:])
    np.testing.assert_allclose(few, scores[66:], atol=1e-6)


if __name__ == '__main__':
  absltest.main()
