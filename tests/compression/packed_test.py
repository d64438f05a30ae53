import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.compression import packed, packed_arrays, ternary
from facejax.errors import CheckpointError
from facejax.ops import packing

_RULES = (('float/.*', 'float'), ('.*(kernel|class_weights)', 'filter'))
_SHAPES = {
  'conv/kernel': (3, 3, 7, 10),
  'pointwise/kernel': (1, 1, 40, 16),
  'depthwise/kernel': (3, 3, 1, 9),
  'dense/kernel': (33, 6),
  'head/class_weights': (24, 40),
  'float/kernel': (4, 4),
  'norm/scale': (7,),
}


def _params():
  tree = {}
  for i, (name, shape) in enumerate(_SHAPES.items()):
    module, leaf = name.split('/')
    key = jax.random.key(i)
    tree[module] = {leaf: jax.random.normal(key, shape) * 10.0 ** (i - 3)}
  return tree


class PackedTest(chex.TestCase):
  @parameterized.parameters('filter', 'tensor')
  def test_unpacked_weights_equal_the_training_ones_to_the_bit(self, which):
    rules = [(pattern, g if g == 'float' else which) for pattern, g in _RULES]
    params = _params()
    trained = jax.jit(lambda p: ternary.ternarize_tree(p, rules))(params)
    tree = packed.pack_tree_jit(params, rules)
    chex.assert_trees_all_equal(jax.jit(packed.unpack_tree)(tree), trained)
    # One operation at a time, too.
    kernel = params['dense']['kernel']
    eager = packed.pack(kernel, which, output_axis=-1)
    chex.assert_trees_all_equal(
      packed.unpack(eager), trained['dense']['kernel']
    )

  def test_containers_hold_their_invariants(self):
    tree = packed.pack_tree_jit(_params(), _RULES)
    shapes = {
      'conv': (10, 4),
      'pointwise': (16, 3),
      'depthwise': (6,),
      'dense': (6, 3),
    }
    for name, shape in shapes.items():
      leaf = tree[name]['kernel']
      self.assertEqual(leaf.words.shape, shape)
      self.assertEqual(leaf.words.dtype, jnp.uint32)
      self.assertEqual(leaf.alpha.shape, _SHAPES[f'{name}/kernel'][-1:])
    self.assertEqual(tree['head']['class_weights'].words.shape, (24, 3))
    self.assertEqual(tree['depthwise']['kernel'].arrangement, 'flat')
    self.assertIsInstance(tree['float']['kernel'], jax.Array)

  def test_words_are_output_major_in_the_order_oihw(self):
    t = np.random.RandomState(0).randint(-1, 2, (3, 2, 4, 5))
    w = np.float32(t)
    t[np.abs(w) <= 0.7 * np.abs(w).mean()] = 0
    words = packed.pack(w, 'tensor', output_axis=-1).words
    rows = t.transpose(3, 2, 0, 1).reshape(5, 24).astype(np.int8)
    np.testing.assert_array_equal(words, packing.pack_ternary(rows))

  def test_a_sharded_head_packs_on_the_devices_that_hold_it(self):
    mesh = jax.make_mesh(
      (8,), ('model',), axis_types=(jax.sharding.AxisType.Auto,)
    )
    sharding = jax.sharding.NamedSharding(
      mesh, jax.sharding.PartitionSpec('model', None)
    )
    params = {'class_weights': _params()['head']['class_weights']}
    sharded = jax.device_put(params, sharding)
    tree = packed.pack_tree_jit(sharded, [('class_weights', 'filter')])
    self.assertTrue(
      tree['class_weights'].words.sharding.is_equivalent_to(sharding, 2)
    )
    chex.assert_trees_all_equal(
      tree, packed.pack_tree_jit(params, [('class_weights', 'filter')])
    )

  def test_packing_a_packed_tree_changes_nothing(self):
    tree = packed.pack_tree_jit(_params(), _RULES)
    chex.assert_trees_all_equal(packed.pack_tree_jit(tree, ()), tree)


class PackedArraysTest(chex.TestCase):
  def test_round_trip_through_arrays_and_json(self):
    tree = packed.pack_tree_jit(_params(), _RULES)
    arrays, metadata = packed_arrays.to_arrays(tree)
    self.assertEqual(
      metadata['tensors']['conv/kernel'],
      {
        'shape': [3, 3, 7, 10],
        'layout': 'A',
        'arrangement': 'rows',
        'output_axis': -1,
        'granularity': 'filter',
      },
    )
    chex.assert_trees_all_equal(
      packed_arrays.from_arrays(arrays, metadata), tree
    )

  @parameterized.parameters(
    (lambda a, m: m.update(format_version=2), 'format version 2'),
    (lambda a, m: a.pop('conv'), "'conv/kernel' is missing"),
    (lambda a, m: a['conv']['kernel'].pop('alpha'), 'bad metadata'),
    (
      lambda a, m: m['tensors']['conv/kernel'].update(layout='B'),
      "unknown layout 'B'",
    ),
    (
      lambda a, m: m['tensors']['conv/kernel'].update(shape=[3, 3, 9, 10]),
      r"'conv/kernel': its words are uint32\[10, 4\], not uint32\[10, 6\]",
    ),
    (
      lambda a, m: m['tensors']['conv/kernel'].update(granularity='tensor'),
      'its alpha are',
    ),
  )
  def test_unfit_metadata_is_refused(self, damage, message):
    arrays, metadata = packed_arrays.to_arrays(
      packed.pack_tree_jit(_params(), _RULES)
    )
    damage(arrays, metadata)
    with self.assertRaisesRegex(CheckpointError, message):
      packed_arrays.from_arrays(arrays, metadata)

  def test_a_corrupt_code_is_refused_with_the_tensor_named(self):
    tree = packed.pack_tree_jit(_params(), _RULES)
    packed_arrays.check_packed(tree)
    leaf = tree['conv']['kernel']
    words = leaf.words.at[3, 1].set(jnp.uint32(0xAAAAAAA9))
    tree['conv']['kernel'] = leaf.replace(words=words)
    with self.assertRaisesRegex(CheckpointError, "'conv/kernel' holds 1 "):
      packed_arrays.check_packed(tree)
