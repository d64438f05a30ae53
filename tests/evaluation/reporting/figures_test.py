"""What the figures of rates show; how they look was looked at."""

import chex
import numpy as np
from absl.testing import absltest
from scipy import special

from facejax.evaluation.metrics import OperatingPoint
from facejax.evaluation.reporting import candidate_figure, canvas, figures
from facejax.evaluation.reporting.curves import CandidateCurve, RocCurve
from tests.evaluation.reporting import examples


def dots(axes):
  """Places of the operating points."""
  return {
    (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
    for line in axes.lines
    if line.get_marker() == 'o' and len(line.get_xdata()) == 1
  }


class RocFigureTest(chex.TestCase):
  def test_it_starts_at_one_impostor_pair_and_marks_the_points(self):
    figure = figures.roc_figure({'plain': examples.roc()}, title='t')
    axes = figure.axes[0]
    self.assertEqual(axes.get_xscale(), 'log')
    np.testing.assert_allclose(axes.get_xlim(), [0.01, 1])
    curve = axes.lines[0]
    # At one impostor the best that accepts no more than one.
    np.testing.assert_array_equal(curve.get_xdata(), [0.01, 0.02, 0.1, 1])
    np.testing.assert_array_equal(curve.get_ydata(), [0.7, 0.9, 0.95, 1])
    self.assertEqual(curve.get_drawstyle(), 'steps-post')
    self.assertEqual(dots(axes), {(0.1, 0.95), (0.01, 0.7)})

  def test_labels_of_one_curve_keep_their_distance(self):
    points = {
      far: OperatingPoint(0.5, far, 0.0) for far in (0.01, 0.011, 0.1, 0.11)
    }
    curve = RocCurve(examples.FAR, examples.TAR, 100, points)
    axes = figures.roc_figure({'plain': curve}, title='t').axes[0]
    self.assertEqual([text.xy[0] for text in axes.texts], [0.01, 0.1])
    self.assertLen(dots(axes), 4)
    both = {'a': curve, 'b': curve}
    self.assertEmpty(figures.roc_figure(both, title='t').axes[0].texts)

  def test_any_name_stands_in_the_legend_as_it_is(self):
    names = ['_plain', r'$\frac$', '<b>', 'モデル', 'x' * 90]
    curves = dict.fromkeys(names, examples.roc('note'))
    figure = figures.roc_figure(curves, title=r'$\broken$')
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertEqual(texts[:4], [f'{name}: note' for name in names[:4]])
    self.assertIn('…', texts[4])
    self.assertLess(len(texts[4]), 60)
    self.assertStartsWith(canvas.render(figure), b'\x89PNG\r\n')
    # A longer legend takes nothing from the plot.
    self.assertGreater(figure.get_size_inches()[1], canvas.SIZE[1])

  def test_one_impostor_pair_is_enough(self):
    curve = RocCurve(np.array([0.0, 1]), np.array([0.5, 1]), 1, {})
    axes = figures.roc_figure({'plain': curve}, title='t').axes[0]
    self.assertLess(*axes.get_xlim())


class DetFigureTest(chex.TestCase):
  def test_both_axes_are_normal_deviates_of_errors(self):
    figure = figures.det_figure({'plain': examples.roc()}, title='t')
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 1 - examples.TAR)
    self.assertEqual(dots(axes), {(0.1, 1 - 0.95), (0.01, 1 - 0.7)})
    self.assertEqual(axes.get_xlim()[0], 0.01)
    for axis in (axes.xaxis, axes.yaxis):
      np.testing.assert_allclose(
        axis.get_transform().transform([0.01, 0.5]),
        special.ndtri([0.01, 0.5]),
        atol=1e-12,
      )

  def test_a_model_without_errors_can_be_drawn(self):
    curve = RocCurve(np.array([0.0, 0, 1]), np.array([0.0, 1, 1]), 9, {})
    figure = figures.det_figure({'plain': curve}, title='t')
    self.assertStartsWith(canvas.render(figure), b'\x89PNG\r\n')


class RankFiguresTest(chex.TestCase):
  def test_cmc_runs_over_the_ranks(self):
    figure = figures.cmc_figure({'full': examples.cmc()}, title='t')
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), examples.cmc())
    text = figure.legends[0].get_texts()[0].get_text()
    self.assertEqual(text, 'full: rank 1 90.00%')

  def test_there_is_no_number_above_100_percent(self):
    figure = figures.cmc_figure({'perfect': np.ones(3)}, title='t')
    (axes,) = figure.axes
    self.assertGreater(axes.get_ylim()[1], 1)
    format_tick = axes.yaxis.get_major_formatter()
    self.assertEqual(format_tick(1.0002), '')
    self.assertStartsWith(format_tick(1.0), '100')

  def test_dir_starts_at_one_impostor_probe(self):
    axes = figures.dir_figure({'a': examples.dir_curve()}, title='t').axes[0]
    np.testing.assert_allclose(axes.get_xlim(), [0.1, 1])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.8, 0.9])


class CandidateFigureTest(chex.TestCase):
  def test_both_stages_meet_float_search_at_the_right_end(self):
    curve = examples.candidates()
    figure = candidate_figure.candidate_figure(
      {'hamming': curve, 'asymmetric': curve}, title='t'
    )
    (axes,) = figure.axes
    self.assertEqual(axes.get_xscale(), 'log')
    self.assertEqual(axes.get_xlim(), (1, 100))
    rank1, recall, level = axes.lines[:3]
    np.testing.assert_array_equal(rank1.get_ydata(), curve.rank1)
    np.testing.assert_array_equal(recall.get_ydata(), curve.recall)
    self.assertEqual(set(level.get_ydata()), {0.8125})
    self.assertEqual(dots(axes), {(20.0, 0.8125)})
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertEqual(texts[0], 'hamming: both stages, 99.9 % from 20')
    self.assertLen(texts, 4)
    self.assertStartsWith(canvas.render(figure), b'\x89PNG\r\n')

  def test_a_gallery_of_one_can_be_drawn(self):
    one = np.ones(1)
    curve = CandidateCurve(np.array([1]), one, one, 1.0, 1)
    figure = candidate_figure.candidate_figure({'a': curve}, title='t')
    self.assertStartsWith(canvas.render(figure), b'\x89PNG\r\n')


if __name__ == '__main__':
  absltest.main()
