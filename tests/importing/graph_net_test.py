import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from tests.importing.graphs import (
  CONV,
  kinds,
  net,
)


class GraphNetTest(chex.TestCase):
  def test_activations_are_told(self):
    relu = net(CONV, ('Relu', ['a'], 'y'))
    self.assertEqual(relu.activations, {'relu'})
    for clip in (
      ('Clip', ['a'], 'y', {'min': 0.0, 'max': 6.0}),
      ('Clip', ['a', 'zero', 'six'], 'y'),
    ):
      self.assertEqual(net(CONV, clip).activations, {'relu6'})
    for clip in (
      ('Clip', ['a', 'zero'], 'y'),
      ('Clip', ['a'], 'y', {'min': 0.0, 'max': 3.4e38}),
    ):
      self.assertEqual(net(CONV, clip).activations, {'relu'})
    self.assertEqual(net(CONV).activations, frozenset())
    with self.assertRaisesRegex(DataError, 'limits features to None and 6'):
      net(CONV, ('Clip', ['a', '', 'six'], 'y'))

  @parameterized.parameters(
    (
      [('Sub', ['x', '127.5'], 'p'), ('Mul', ['p', 'inverse'], 'q')],
      127.5,
      128,
    ),
    ([('Sub', ['x', 'rgb'], 'p'), ('Div', ['p', '127.5'], 'q')], 127.5, 127.5),
    (
      [
        ('Cast', ['x'], 'n', {'to': 1}),
        ('Div', ['n', '255'], 'm'),
        ('Sub', ['m', 'half'], 'p'),
        ('Div', ['p', 'half'], 'q'),
      ],
      127.5,
      127.5,
    ),
    ([('Div', ['x', '255'], 'q')], 0, 255),
    ([('Add', ['half', 'x'], 'p'), ('Identity', ['p'], 'q')], -0.5, 1),
  )
  def test_the_normalisation_is_told(self, steps, mean, scale):
    result = net(*steps, ('Conv', ['q', 'k'], 'y'))
    self.assertEqual((result.mean, result.scale), (mean, scale))
    self.assertEqual(kinds(result), ['conv'])

  def test_a_graph_without_normalisation_has_none(self):
    self.assertEqual((net(CONV).mean, net(CONV).scale), (None, None))

  @parameterized.parameters(
    ([('Sub', ['x', 'rgb_unequal'], 'q')], 'normalises channels differently'),
    ([('Mul', ['x', 'zero'], 'q')], 'normalises channels differently'),
    ([('Div', ['x', 'zero'], 'q')], 'uses a constant'),
    ([('Sub', ['127.5', 'x'], 'q')], 'uses a constant'),
    ([('Slice', ['x', 'axes'], 'q')], 'first layer, but its pixels'),
    ([('Relu', ['x'], 'q')], 'first layer, but its pixels'),
  )
  def test_other_changes_of_pixels_are_refused(self, steps, message):
    with self.assertRaisesRegex(DataError, message):
      net(*steps, ('Conv', ['q', 'k'], 'y'))

  def test_two_normalisations_are_refused(self):
    with self.assertRaisesRegex(DataError, 'sees other pixels'):
      net(
        CONV,
        ('Div', ['x', '255'], 'q'),
        ('Conv', ['q', 'k'], 'b'),
        ('Add', ['a', 'b'], 'y'),
      )

  @parameterized.parameters(
    ((None, 3, 112, 96), (112, 96), 3),
    ((1, 112, 96, 3), (112, 96), 3),
    ((1, 1, 128, 128), (128, 128), 1),
    ((None, 3, None, 96), None, 3),
    ((None, None, None, None), None, None),
    (None, None, None),
    ((5, 7), None, None),
  )
  def test_the_image_is_told_where_the_graph_says(self, shape, size, channels):
    result = net(CONV, shape=shape)
    self.assertEqual(result.image_size, size)
    self.assertEqual(result.image_channels, channels)

  def test_residuals_gates_and_maxima_pass(self):
    result = net(
      CONV,
      ('GlobalAveragePool', ['a'], 'g'),
      ('Conv', ['g', 'pointwise'], 'g1'),
      ('Sigmoid', ['g1'], 'g2'),
      ('Mul', ['a', 'g2'], 'b'),
      ('Add', ['a', 'b'], 'd'),
      ('Split', ['d'], 'e', {'axis': 1}),
      ('Max', ['e', 'e'], 'h'),
      ('Concat', ['h', 'e'], 'i0', {'axis': 1}),
      ('MaxPool', ['i0'], 'j'),
      ('Dropout', ['j'], 'y'),
    )
    self.assertEqual(kinds(result), ['conv', 'conv'])

  def test_arithmetic_of_sizes_is_no_layer(self):
    result = net(
      CONV,
      ('Shape', ['a'], 's'),
      ('Gather', ['s', 'axes'], 's1'),
      ('Mul', ['s1', 'i'], 's2'),
      ('Concat', ['s2', 'axes'], 's3'),
      ('Concat', ['axes', 'axes'], 's4'),
      ('Reshape', ['a', 's3'], 'b'),
      ('Reshape', ['b', 's4'], 'd'),
      ('Gemm', ['d', 'dense_t'], 'y'),
    )
    self.assertEqual(kinds(result), ['conv', 'conv'])

  @parameterized.parameters(
    ([('LpNormalization', ['a'], 'y')],),
    (
      [
        ('ReduceL2', ['a'], 'n', {'axes': (1,)}),
        ('Clip', ['n', 'tiny'], 'm'),
        ('Shape', ['a'], 's'),
        ('Expand', ['m', 's'], 'e'),
        ('Div', ['a', 'e'], 'y'),
      ],
    ),
    (
      [
        ('Mul', ['a', 'a'], 's'),
        ('ReduceSum', ['s', 'axes'], 'n'),
        ('Add', ['n', 'tiny'], 'm'),
        ('Sqrt', ['m'], 'r'),
        ('Reciprocal', ['r'], 'q'),
        ('Mul', ['a', 'q'], 'y'),
      ],
    ),
    (
      [
        ('Pow', ['a', 'i'], 's'),
        ('ReduceSum', ['s'], 'n'),
        ('Pow', ['n', 'half'], 'm'),
        ('Max', ['m', 'tiny'], 'r'),
        ('Div', ['a', 'r'], 'y'),
      ],
    ),
  )
  def test_the_length_at_the_end_is_left_out(self, steps):
    self.assertEqual(kinds(net(CONV, *steps)), ['conv'])
    with self.assertRaisesRegex(DataError, 'gives embeddings their length'):
      net(CONV, *steps, ('Gemm', ['y', 'dense_t'], 'z'))

  @parameterized.parameters(
    ('Mul', ['a', 'half'], 'uses 0.5 on features'),
    ('Add', ['a', 'six'], 'uses 6 on features'),
    ('Add', ['a', 'w'], 'uses a constant'),  # one number of each column
    ('Mul', ['a', 'k'], 'uses a constant'),
    ('Sub', ['c11', 'a'], 'uses a constant'),
    ('Max', ['a', 'zero'], 'combines features'),
    ('Sum', ['a', 'a', 'c11'], 'combines features'),
  )
  def test_other_constants_are_refused(self, op, inputs, message):
    with self.assertRaisesRegex(DataError, message):
      net(CONV, (op, inputs, 'y'))

  def test_constants_that_change_nothing_pass(self):
    one = {'one': np.float32(1)}
    result = net(
      CONV, ('Mul', ['a', 'one'], 'b'), ('Add', ['b', 'zero'], 'y'), **one
    )
    self.assertEqual(kinds(result), ['conv'])


if __name__ == '__main__':
  absltest.main()
