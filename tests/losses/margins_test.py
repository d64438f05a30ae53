"""What every margin loss promises, and where it says what it needs."""

import functools
import inspect
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax.test_util import check_grads

from facejax.losses import margins
from tests.losses import numpy_margins

NORMS = [12.0, 30.0, 17.0, 3.0]
LABELS = [2, 0, -1, 1]
STEP = 100


def params_of(name):
  params = numpy_margins.PARAMS.get(name, {})
  return {key: jnp.asarray(x, jnp.float32) for key, x in params.items()}


def bound(name, **constants):
  """The loss as a function of cosines and labels, all it needs bound."""
  return functools.partial(
    margins.MARGINS[name],
    norms=jnp.asarray(NORMS),
    step=STEP,
    params=params_of(name),
    **constants,
  )


def example(name):
  """Cosines [4, 3] of any sign and size, the first target beyond pi - m."""
  columns = 9 if name == 'sub_center_arcface' else 3
  cosines = np.random.default_rng(3).uniform(-0.95, 0.95, (4, columns))
  cosines[0, -columns // 3 :] = -0.93 - 0.01 * np.arange(columns // 3)
  return jnp.asarray(cosines, jnp.float32), jnp.asarray(LABELS, jnp.int32)


def one_column(name, cosines):
  """Cosines [N] as targets of N rows; sub-centres are all alike."""
  return jnp.stack([cosines] * (3 if name == 'sub_center_arcface' else 1), 1)


def target_only(name, **constants):
  """The target's logit by its cosine [N], for one embedding length."""

  def logits(cosines):
    rows = len(cosines)
    params = params_of(name)
    if name == 'softmax':
      params = {'weight_norms': jnp.ones(1), 'bias': jnp.zeros(1)}
    return margins.MARGINS[name](
      one_column(name, cosines),
      jnp.zeros(rows, jnp.int32),
      norms=jnp.full(rows, 20.0),
      step=STEP,
      params=params,
      **constants,
    )[:, 0]

  return jax.jit(logits)


# Every loss as it is, and its options whose target never rises.
DECREASING = (
  *((name, {}) for name in margins.MARGINS),
  ('arcface', {'margin': 1.57}),
  ('combined_margin', {'m1': 1.35, 'm2': 0.0}),
  ('combined_margin', {'m1': 0.9, 'm2': 0.4, 'm3': 0.15}),
  ('combined_margin', {'m1': 4.0, 'm2': 1.5, 'm3': 1.0}),
  ('a_softmax', {'margin': 1}),
  ('a_softmax', {'margin': 3, 'lambda_base': 0.0, 'lambda_min': 0.0}),
  ('a_softmax', {'margin': 8, 'lambda_base': 0.0, 'lambda_min': 0.0}),
)

# Every loss, and every option that changes its gradient.
DIFFERENTIABLE = (
  *((name, {}) for name in margins.MARGINS),
  ('combined_margin', {'m1': 4.0, 'm2': 1.5, 'm3': 1.0}),
  ('arcface', {'easy': True}),
  ('arcface', {'straight_through': True}),
  ('combined_margin', {'straight_through': True}),
  ('sub_center_arcface', {'straight_through': True}),
  ('a_softmax', {'rescale_gradient': True}),
)


class EveryMarginTest(chex.TestCase):
  @parameterized.parameters(*margins.MARGINS)
  def test_takes_the_inputs_that_heads_give(self, name):
    signature = inspect.signature(margins.MARGINS[name])
    self.assertEqual(
      list(signature.parameters)[:5],
      ['cos_theta', 'labels', 'norms', 'step', 'params'],
    )
    for parameter in list(signature.parameters.values())[2:]:
      self.assertEqual(parameter.kind, inspect.Parameter.KEYWORD_ONLY)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*margins.MARGINS)
  def test_equals_the_papers_formula(self, name):
    cosines, labels = example(name)
    expected = numpy_margins.logits(name, cosines.tolist(), LABELS, NORMS, STEP)
    with jax.numpy_dtype_promotion('strict'):
      logits = self.variant(bound(name))(cosines, labels)
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-5)

  @parameterized.parameters(*DECREASING)
  def test_target_never_rises_over_all_angles(self, name, constants):
    cosines = jnp.cos(jnp.linspace(0.0, math.pi, 2001))
    logits = target_only(name, **constants)(cosines)
    # The scales are 7 to 64, and float32 has seven digits.
    self.assertLessEqual(float(jnp.diff(logits).max()), 2e-4)
    self.assertGreater(float(logits[0] - logits[-1]), 13.0)

  @parameterized.parameters(*DIFFERENTIABLE)
  def test_gradients_are_finite_at_the_poles(self, name, constants):
    columns = 9 if name == 'sub_center_arcface' else 3
    poles = np.array([1.0, -1.0, 1 - 2**-24, 0.0] * 2, np.float32)
    cosines = jnp.asarray(np.repeat(poles[:, None], columns, 1))
    norms = jnp.asarray(NORMS + [1e-6] * 4)
    labels = jnp.zeros(8, jnp.int32)

    def loss(cosines, norms):
      logits = bound(name, **constants)(cosines, labels, norms=norms)
      return -jax.nn.log_softmax(logits)[:, 0].sum()

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(cosines, norms)
    chex.assert_tree_all_finite(gradients)

  @parameterized.parameters(*margins.MARGINS)
  def test_numerical_gradient(self, name):
    cosines, labels = example(name)
    norms, params = jnp.asarray(NORMS), params_of(name)
    inputs = (jnp.asarray(cosines),)
    if name in ('softmax', 'a_softmax'):
      inputs += (norms,)
    if name in ('softmax', 'normface'):
      inputs += tuple(params.values())

    def logits(cosines, *others):
      others = [jnp.asarray(x) for x in others]
      lengths = others.pop(0) if name in ('softmax', 'a_softmax') else norms
      learned = dict(zip(params, others, strict=True)) if others else params
      values = margins.MARGINS[name](
        jnp.asarray(cosines), labels, norms=lengths, step=STEP, params=learned
      )
      return values / 64

    check_grads(
      jax.jit(logits), inputs, 1, modes=('rev',), rtol=1e-2, atol=1e-2
    )

  @parameterized.parameters(*margins.MARGINS)
  def test_half_precision_is_computed_in_float32(self, name):
    cosines, labels = example(name)
    half = jnp.asarray(cosines, jnp.bfloat16)
    function = jax.jit(bound(name))
    logits = function(half, labels)
    self.assertEqual(logits.dtype, jnp.float32)
    np.testing.assert_array_equal(
      logits, function(half.astype(jnp.float32), labels)
    )
    total = jax.grad(lambda c: function(c, labels).sum())
    gradient = jax.eval_shape(total, half)
    self.assertEqual(gradient.dtype, jnp.bfloat16)

  @parameterized.parameters(*margins.MARGINS)
  def test_a_row_without_a_target_gets_no_margin(self, name):
    cosines, _ = example(name)
    logits = jax.jit(bound(name))(cosines, jnp.full(4, -1))
    if name == 'softmax':
      return np.testing.assert_array_equal(
        logits, jax.jit(bound(name))(cosines, jnp.asarray(LABELS))
      )
    pooled = cosines.reshape(4, 3, -1).max(2)
    scale = {'normface': 7.0, 'am_softmax': 30.0}.get(name, 64.0)
    factors = NORMS if name == 'a_softmax' else [scale] * 4
    np.testing.assert_allclose(
      logits, np.asarray(factors, np.float32)[:, None] * pooled, rtol=1e-6
    )

  @parameterized.parameters(
    'am_softmax', 'cosface', 'arcface', 'sub_center_arcface', 'combined_margin'
  )
  def test_margin_zero_is_normface(self, name):
    cosines, labels = example(name)
    key = 'm2' if name == 'combined_margin' else 'margin'
    function = bound(name, scale=5.0, **{key: 0.0})
    logits = jax.jit(function)(cosines, labels)
    pooled = cosines.reshape(4, 3, -1).max(2)
    plain = margins.normface(pooled, labels, scale=5.0)
    np.testing.assert_allclose(logits, plain, atol=2e-6)

  @parameterized.parameters(
    ('cosface', 'margin'),
    ('arcface', 'margin'),
    ('adaface', 'margin'),
    ('sub_center_arcface', 'margin'),
    ('combined_margin', 'm1'),
    ('combined_margin', 'm2'),
    ('combined_margin', 'm3'),
  )
  def test_a_margin_may_be_traced(self, name, key):
    cosines, labels = example(name)
    traced = jax.jit(lambda x: bound(name, **{key: x})(cosines, labels))
    constant = jax.jit(bound(name, **{key: 0.25}))
    np.testing.assert_allclose(
      traced(0.25), constant(cosines, labels), rtol=1e-5
    )

  @parameterized.parameters(
    ('softmax', {'params': {}}, 'softmax needs norms='),
    ('softmax', {'norms': 1}, r"softmax needs params\['weight_norms'\]"),
    (
      'softmax',
      {'norms': 1, 'params': {'weight_norms': 1.0}},
      r"softmax needs params\['bias'\]",
    ),
    ('a_softmax', {'step': 0}, 'a_softmax needs norms='),
    ('a_softmax', {'norms': 1}, 'a_softmax needs step='),
    ('adaface', {}, 'adaface needs norms='),
    ('adaface', {'norms': 1}, r"adaface needs params\['norm_mean'\]"),
    (
      'adaface',
      {'norms': 1, 'params': {'norm_mean': 1.0}},
      r"adaface needs params\['norm_std'\]",
    ),
  )
  def test_says_what_it_needs_and_was_not_given(self, name, inputs, message):
    cosines, labels = example(name)
    if 'norms' in inputs:
      inputs = inputs | {'norms': jnp.asarray(NORMS)}
    function = functools.partial(margins.MARGINS[name], **inputs)
    with self.assertRaisesRegex(ValueError, message):
      jax.eval_shape(function, cosines, labels)
