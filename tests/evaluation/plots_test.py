"""What the pictures show; how they look was looked at."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation import plots
from facejax.evaluation.verification import verify_pairs


def make_result(mode, seed=0):
  rng = np.random.default_rng(seed)
  people = np.repeat(np.arange(20), 2)
  plain = (rng.normal(size=(20, 8))[people] + rng.normal(size=(40, 8))).astype(
    np.float32
  )
  first, second = np.triu_indices(40, 1)
  return verify_pairs(
    plain,
    plain,
    first,
    second,
    people[first] == people[second],
    np.arange(len(first)) % 5,
    mode=mode,
  )


class PlotsTest(chex.TestCase):
  def test_roc_starts_at_one_impostor_pair_and_marks_the_points(self):
    result = make_result('plain')
    figure = plots.roc_figure({'plain': result}, title='t')
    axes = figure.axes[0]
    self.assertEqual(axes.get_xscale(), 'log')
    np.testing.assert_allclose(axes.get_xlim(), [1 / 760, 1])
    marks = {
      (line.get_xdata()[0], line.get_ydata()[0])
      for line in axes.lines
      if line.get_marker() == 'o'
    }
    self.assertEqual(
      marks, {(far, point.tar) for far, point in result.points.items()}
    )
    curve = axes.lines[0]
    for far, tar in marks:
      below = np.asarray(curve.get_xdata()) <= far
      self.assertEqual(np.asarray(curve.get_ydata())[below].max(), tar)

  def test_several_curves_are_named_in_the_legend(self):
    results = {m: make_result(m) for m in ('plain', 'sphereface')}
    figure = plots.roc_figure(results, title='t')
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertLen(texts, 2)
    self.assertStartsWith(texts[1], 'sphereface: accuracy ')

  def test_histogram_holds_all_pairs_and_the_threshold(self):
    result = make_result('insightface')
    axes = plots.histogram_figure(result, title='t').axes[0]
    shares = [patch.get_data().values.sum() for patch in axes.patches]
    np.testing.assert_allclose(shares, 1)
    threshold = axes.lines[0].get_xdata()[0]
    self.assertAlmostEqual(threshold, -result.fold_thresholds.mean())
    self.assertEqual(axes.get_xlabel(), 'squared distance')

  def test_a_figure_becomes_a_png_file(self):
    figure = plots.histogram_figure(make_result('plain'), title='t')
    self.assertStartsWith(plots.render(figure), b'\x89PNG\r\n')


if __name__ == '__main__':
  absltest.main()
