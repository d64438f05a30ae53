"""What the figures of scores and of damage show."""

import dataclasses

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.reporting import canvas, score_figures
from facejax.evaluation.reporting.curves import Degradation, ScoreHistogram
from tests.evaluation.reporting import examples


def stairs(axes):
  """Values and edges of the filled bars: impostor, genuine."""
  data = [patch.get_data() for patch in axes.patches]
  return [data[0], data[2]]


class HistogramTest(chex.TestCase):
  def test_each_kind_sums_to_one_and_the_threshold_stands(self):
    figure = score_figures.histogram_figure(examples.histogram(), title='t')
    linear, logarithmic = figure.axes
    impostor, genuine = stairs(linear)
    np.testing.assert_allclose(genuine.values, [0, 0, 0.25, 0.75])
    np.testing.assert_allclose(impostor.values.sum(), 1)
    # The empty bins at both ends are not shown.
    np.testing.assert_allclose(genuine.edges, [-0.25, 0, 0.25, 0.5, 0.75])
    for axes in figure.axes:
      self.assertEqual(list(axes.lines[0].get_xdata()), [0.35, 0.35])
    self.assertEqual(logarithmic.get_yscale(), 'log')
    # One of fifty million can be seen.
    self.assertLess(logarithmic.get_ylim()[0], 1 / 50_000_005)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertEqual(
      texts,
      [
        'impostor, 50,000,005 scores',
        'genuine, 4 scores',
        'threshold 0.350, same above',
      ],
    )
    self.assertStartsWith(canvas.render(figure), b'\x89PNG\r\n')

  def test_the_legend_says_which_threshold_it_is(self):
    histogram = dataclasses.replace(
      examples.histogram(),
      threshold_note='FAR 1e-3',
      measure='squared_distance',
    )
    figure = score_figures.histogram_figure(histogram, title='t')
    self.assertEqual(
      figure.legends[0].get_texts()[-1].get_text(),
      'threshold 0.350 (FAR 1e-3), same below',
    )

  def test_many_bins_are_put_together_without_loss(self):
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (2, 65_536))
    histogram = ScoreHistogram(
      np.linspace(0, 4, 65_537), *counts, None, 'squared_distance'
    )
    figure = score_figures.histogram_figure(histogram, title='t')
    impostor, genuine = stairs(figure.axes[0])
    self.assertLessEqual(len(genuine.values), 100)
    self.assertLen(genuine.edges, len(genuine.values) + 1)
    np.testing.assert_array_equal(genuine.edges[[0, -1]], [0, 4])
    width = 656
    np.testing.assert_allclose(
      genuine.values[:2] * counts[0].sum(),
      counts[0, : 2 * width].reshape(2, -1).sum(1),
    )
    np.testing.assert_allclose(impostor.values.sum(), 1)
    self.assertEqual(figure.axes[1].get_xlabel(), 'squared distance')

  def test_one_kind_alone_and_no_pair_at_all_are_drawn(self):
    edges, none = np.array([0.0, 1]), np.array([0])
    for genuine in (none, none + 3):
      histogram = ScoreHistogram(edges, genuine, none, None)
      score_figures.histogram_figure(histogram, title='t')


class DegradationTest(chex.TestCase):
  def test_every_damage_has_a_panel_and_every_model_a_line(self):
    def damage(name, values):
      levels = np.array([1.0, 2])
      return Degradation(
        name, levels, 'sigma', np.array(values), 'accuracy', 0.99
      )

    models = {
      'a': [damage('blur', [0.9, 0.8]), damage('JPEG', [0.95, 0.9])],
      'b': [damage('blur', [0.7, 0.6])],
    }
    figure = score_figures.degradation_figure(models, title='t')
    blur, jpeg = figure.axes
    self.assertEqual([a.get_title() for a in figure.axes], ['blur', 'JPEG'])
    lines = [x for x in blur.lines if x.get_marker() == 'o']
    np.testing.assert_array_equal(lines[0].get_ydata(), [0.9, 0.8])
    np.testing.assert_array_equal(lines[1].get_ydata(), [0.7, 0.6])
    self.assertEqual(list(jpeg.lines[0].get_ydata()), [0.99, 0.99])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertEqual(texts, ['a', 'b'])


if __name__ == '__main__':
  absltest.main()
