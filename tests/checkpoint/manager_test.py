import contextlib
import io
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.checkpoint.manager import CheckpointStore
from facejax.compression import packed
from facejax.errors import CheckpointError
from tests.checkpoint.states import RULES, abstract, make_state


def _sharding(devices, *axes):
  mesh = jax.make_mesh(
    (devices,),
    ('model',),
    axis_types=(jax.sharding.AxisType.Auto,),
    devices=jax.devices()[:devices],
  )
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


def _file(folder):
  """The largest file below a folder."""
  paths = [os.path.join(f, name) for f, _, ns in os.walk(folder) for name in ns]
  return max(paths, key=os.path.getsize)


class StoreTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def _save(self, *steps, **options):
    with CheckpointStore(self.folder, **options) as store:
      for step in steps:
        state = make_state(step)
        store.save(
          step,
          state,
          data_position={'step': step, 'seed': 1},
          packed=(state.params, RULES),
          metrics={'loss': 0.5},
        )


class RoundTripTest(StoreTestCase):
  def test_the_latest_state_and_position_come_back_to_the_bit(self):
    self._save(3, 5)
    with CheckpointStore(self.folder) as store:
      state, position, step = store.restore_latest(abstract(make_state(0)))
    self.assertEqual((position, step), ({'step': 5, 'seed': 1}, 5))
    chex.assert_trees_all_equal(state, make_state(5))

  def test_an_empty_folder_has_no_checkpoint(self):
    with CheckpointStore(self.folder) as store:
      self.assertIsNone(store.restore_latest(abstract(make_state(0))))

  def test_the_newest_are_kept(self):
    self._save(1, 2, 3, 4, max_to_keep=2)
    with CheckpointStore(self.folder) as store:
      self.assertEqual(store.steps(), [3, 4])

  def test_a_step_that_is_there_is_not_saved_again(self):
    with CheckpointStore(self.folder) as store:
      for expected in (True, False):
        self.assertEqual(
          store.save(7, make_state(7), data_position={}), expected
        )
      store.wait_until_finished()
      with self.assertRaisesRegex(CheckpointError, 'holds no packed model'):
        store.restore_packed(7)

  def test_arrays_may_be_donated_while_the_save_is_in_flight(self):
    state = make_state(5)
    with CheckpointStore(self.folder) as store:
      store.save(5, state, data_position={}, packed=(state.params, RULES))
      jax.jit(
        lambda tree: jax.tree.map(lambda x: x * 0, tree), donate_argnums=0
      )(state)
    with CheckpointStore(self.folder) as store:
      restored, _, _ = store.restore_latest(abstract(make_state(0)))
      tree = store.restore_packed(5)
    expected = make_state(5)
    chex.assert_trees_all_equal(restored, expected)
    chex.assert_trees_all_equal(
      tree, packed.pack_tree_jit(expected.params, RULES)
    )

  def test_a_state_sharded_over_8_devices_opens_on_1_and_on_2(self):
    spread, one = _sharding(8, 'model'), _sharding(1)
    state = make_state(5)
    weights = jax.device_put(state.params['head']['class_weights'], spread)
    state.params['head']['class_weights'] = weights
    with CheckpointStore(self.folder) as store:
      store.save(5, state, data_position={}, packed=(state.params, RULES))
      store.wait_until_finished()
      for sharding in (one, _sharding(2)):
        restored, _, _ = store.restore_latest(abstract(make_state(0), sharding))
        chex.assert_trees_all_equal(restored, make_state(5))
        self.assertEqual(restored.step.sharding, sharding)
      tree = store.restore_packed(5)
      rows = store.restore_packed(5, shardings=[('.*head.*words', spread)])
    expected = packed.pack_tree_jit(make_state(5).params, RULES)
    chex.assert_trees_all_equal(tree, expected)
    chex.assert_trees_all_equal(rows, expected)
    self.assertEqual(rows['head']['class_weights'].words.sharding, spread)

  def test_padded_class_weights_open_on_another_mesh(self):
    self._save(5)
    target = abstract(make_state(0, width=32))
    padded = '.*class_weights'
    with CheckpointStore(self.folder) as store:
      state, _, _ = store.restore_latest(target, padded=padded)
    weights = state.params['head']['class_weights']
    expected = make_state(5).params['head']['class_weights']
    np.testing.assert_array_equal(weights[:24], expected)
    np.testing.assert_array_equal(weights[24:], np.zeros((8, 40)))


class DamageTest(StoreTestCase):
  @parameterized.parameters(
    'data/metadata', 'state/_METADATA', 'state/d', 'state'
  )
  def test_a_truncated_newest_step_gives_way_to_the_one_before(self, part):
    self._save(3, 5)
    path = os.path.join(self.folder, '5', part)
    path = _file(path) if os.path.isdir(path) else path
    os.truncate(path, os.path.getsize(path) // 2)
    stderr = io.StringIO()
    with (
      CheckpointStore(self.folder) as store,
      contextlib.redirect_stderr(stderr),
    ):
      state, position, step = store.restore_latest(abstract(make_state(0)))
      self.assertEqual((position['step'], step), (3, 3))
      chex.assert_trees_all_equal(state, make_state(3))
      # The run goes on and reaches the damaged step again.
      self.assertTrue(store.save(4, make_state(4), data_position={'step': 4}))
      self.assertTrue(store.save(5, make_state(5), data_position={'step': 5}))
    self.assertRegex(
      stderr.getvalue(), r'^warning: checkpoint \S+5 cannot be read.*\n$'
    )
    with CheckpointStore(self.folder) as store:
      self.assertEqual(store.steps(), [3, 4, 5])
      state, _, step = store.restore_latest(abstract(make_state(0)))
    chex.assert_trees_all_equal(state, make_state(5))

  def test_damage_to_all_steps_is_an_error(self):
    self._save(3, 5)
    for step in (3, 5):
      os.truncate(f'{self.folder}/{step}/state/_METADATA', 10)
    with (
      CheckpointStore(self.folder) as store,
      contextlib.redirect_stderr(io.StringIO()),
      self.assertRaisesRegex(CheckpointError, r'none of the .* \[3, 5\]'),
    ):
      store.restore_latest(abstract(make_state(0)))

  def test_a_file_in_place_of_the_folder_is_an_error(self):
    path = self.create_tempfile().full_path
    with self.assertRaisesRegex(CheckpointError, 'is a file'):
      CheckpointStore(path)


class MismatchTest(StoreTestCase):
  @parameterized.parameters(
    (
      lambda s: s.replace(step=jnp.float32(0)),
      r"has 'step' as int32\[\], expected float32\[\]",
    ),
    (
      lambda s: s.replace(params={'conv': s.params['conv']}),
      r"has 'params/head/class_weights' \(float32\[24, 40\]\), which is not",
    ),
    (
      lambda s: s.replace(batch_stats={**s.batch_stats, 'x': s.step}),
      "has no 'batch_stats/x'",
    ),
    (
      lambda s: make_state(0, width=32),
      r"'params/head/class_weights' as float32\[24, 40\], expected "
      r'float32\[32, 40\]',
    ),
  )
  def test_another_structure_is_refused_by_name(self, change, message):
    self._save(3)
    with (
      CheckpointStore(self.folder) as store,
      self.assertRaisesRegex(CheckpointError, message),
    ):
      store.restore_latest(abstract(change(make_state(0))))
