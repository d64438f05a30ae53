import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from facejax import trees
from facejax.errors import UsageError

TREE = {
  'stem': {'kernel': jnp.ones((2, 3)), 'slope': jnp.ones(3, jnp.int8)},
  'head': [jnp.zeros(()), jnp.zeros(5)],
}
NAMES = ['head/0', 'head/1', 'stem/kernel', 'stem/slope']


class TreesTest(chex.TestCase):
  def test_leaves_are_named_by_their_path(self):
    self.assertEqual(list(trees.named_leaves(TREE)), NAMES)

  def test_fields_of_dataclasses_are_named(self):
    @chex.dataclass
    class Point:
      x: int

    self.assertEqual(trees.named_leaves({'p': Point(x=3)}), {'p/x': 3})

  def test_map_named_passes_the_name_and_keeps_the_structure(self):
    names = trees.map_named(lambda name, leaf, other: name, TREE, TREE)
    self.assertEqual(jax.tree.leaves(names), NAMES)
    chex.assert_trees_all_equal_structs(names, TREE)

  def test_is_leaf_stops_the_descent(self):
    def is_leaf(node):
      return isinstance(node, list)

    found = trees.map_named(lambda name, leaf: name, TREE, is_leaf=is_leaf)
    self.assertEqual(found['head'], 'head')
    self.assertIn('head', trees.named_leaves(TREE, is_leaf))

  @parameterized.parameters(
    ('stem/kernel', 1), ('stem/slope', 2), ('head/0', None), ('a/stem/x', None)
  )
  def test_the_first_rule_that_matches_the_whole_name_wins(self, name, value):
    rules = [('.*kernel', 1), ('stem/.*', 2), ('hea', 3), ('.*/kernel', 4)]
    self.assertEqual(trees.first_match(rules, name), value)

  def test_match_tree_fills_in_the_default(self):
    self.assertEqual(
      trees.match_tree([('stem/.*', 'yes')], TREE, 'no'),
      {'stem': {'kernel': 'yes', 'slope': 'yes'}, 'head': ['no', 'no']},
    )

  def test_a_rule_that_matches_nothing_is_refused_with_names_that_exist(self):
    trees.check_rules([('stem/.*', 0), ('.*', 0)], TREE, 'frozen')
    with self.assertRaisesRegex(
      UsageError, r"frozen: 'stme/\.\*' matches no parameter; .* 'head/0'"
    ):
      trees.check_rules([('stem/.*', 0), ('stme/.*', 0)], TREE, 'frozen')

  def test_what_is_no_regular_expression_is_refused(self):
    with self.assertRaisesRegex(UsageError, r"'\(' is not a regular expr"):
      trees.check_rules([('(', 0)], TREE, 'frozen')

  def test_counts_are_of_elements_and_of_bytes(self):
    self.assertEqual(trees.parameter_count(TREE), 6 + 3 + 1 + 5)
    self.assertEqual(trees.byte_count(TREE), 24 + 3 + 4 + 20)
    shapes = jax.eval_shape(lambda: TREE)
    self.assertEqual(trees.byte_count(shapes), 51)
