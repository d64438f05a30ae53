import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax import models, trees
from facejax.compression import ternary
from facejax.errors import UsageError
from facejax.ops import ternary as ops


def _params():
  keys = jax.random.split(jax.random.key(0), 4)
  return {
    'stem': {'kernel': jax.random.normal(keys[0], (3, 3, 3, 8))},
    'block0': {
      'depthwise': {'kernel': jax.random.normal(keys[1], (3, 3, 1, 8))},
      'norm': {'scale': jnp.ones(8)},
    },
    'dense': {'kernel': jax.random.normal(keys[2], (33, 5))},
    'head': {'class_weights': jax.random.normal(keys[3], (24, 40))},
  }


class TernarizeTreeTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_axes_follow_the_layout_of_each_parameter(self):
    rules = [
      ('stem/kernel', 'tensor'),
      ('.*kernel', 'filter'),
      ('.*class_weights', 'filter'),
    ]
    params = _params()
    actual = self.variant(lambda p: ternary.ternarize_tree(p, rules))(params)
    expected = {
      'stem': {'kernel': ops.ternary_ste(params['stem']['kernel'])},
      'block0': {
        'depthwise': {
          'kernel': ops.ternary_ste(
            params['block0']['depthwise']['kernel'], (0, 1, 2)
          )
        },
        'norm': params['block0']['norm'],
      },
      'dense': {'kernel': ops.ternary_ste(params['dense']['kernel'], (0,))},
      'head': {
        'class_weights': ops.ternary_ste(params['head']['class_weights'], (1,))
      },
    }
    chex.assert_trees_all_equal(actual, expected)

  def test_the_first_matching_rule_wins_and_no_match_stays_float(self):
    rules = [('stem/.*', 'float'), ('stem/kernel|dense/kernel', 'tensor')]
    self.assertEqual(
      ternary.granularities(_params(), rules), {'dense/kernel': 'tensor'}
    )

  def test_gradients_reach_the_float_masters(self):
    params = _params()
    rules = [('.*kernel', 'filter')]
    gradients = jax.grad(
      lambda p: sum(
        jnp.sum(x) for x in jax.tree.leaves(ternary.ternarize_tree(p, rules))
      )
    )(params)
    chex.assert_trees_all_equal(gradients, jax.tree.map(jnp.ones_like, params))


class RulesTest(chex.TestCase):
  @parameterized.parameters(
    ([('.*scale', 'filter')], "'block0/norm/scale' cannot be ternary"),
    ([('.*kernel', 'row')], "asks for 'row'"),
    ([('.*kernle', 'filter')], 'matches no parameter'),
    ([('(', 'filter')], 'not a regular expression'),
    ([('.*', 'float')], 'leave every parameter float'),
  )
  def test_bad_rules_are_refused(self, rules, message):
    with self.assertRaisesRegex(UsageError, message):
      ternary.check_ternary_rules(_params(), rules)

  def test_default_rules_leave_depthwise_kernels_and_the_head_float(self):
    rules = ternary.default_rules(_params(), 'tensor')
    ternary.check_ternary_rules(_params(), rules)
    self.assertEqual(
      ternary.granularities(_params(), rules),
      {'stem/kernel': 'tensor', 'dense/kernel': 'tensor'},
    )

  def test_default_rules_cover_repeated_blocks_with_one_pattern(self):
    block = {'depthwise': {'kernel': np.zeros((3, 3, 1, 8), np.float32)}}
    rules = ternary.default_rules({f'block{i}': block for i in range(12)})
    self.assertLen(rules, 2)

  def test_default_rules_of_mobilefacenet_exempt_what_is_depthwise(self):
    model = models.get_model('mobilefacenet')
    variables = jax.eval_shape(
      lambda key: model.init(key, jnp.zeros((1, 112, 112, 3)), False),
      jax.random.key(0),
    )
    params = variables['params']
    selected = ternary.granularities(params, ternary.default_rules(params))
    leaves = trees.named_leaves(params)
    exempt = {n for n in leaves if n.endswith('kernel')} - set(selected)
    # Rows of the table: one after the stem, one a block, the global one.
    self.assertLen(exempt, 1 + 15 + 1)
    for name in exempt:
      self.assertRegex(name, '^(stem_|stage._block./)depthwise/|^global/')
    # 976,000 convolution weights less the depthwise ones, spec 2.2.
    depthwise = sum(leaves[name].size for name in exempt)
    ternary_weights = sum(leaves[name].size for name in selected)
    self.assertEqual(ternary_weights + depthwise, 976_000)
