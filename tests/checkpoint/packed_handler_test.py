import chex
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath

from facejax.checkpoint.packed_handler import (
  PackedCheckpointHandler,
  PackedRestore,
  PackedSave,
)
from facejax.compression import packed, ternary
from facejax.errors import CheckpointError
from tests.checkpoint.states import RULES, make_state


class PackedHandlerTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = epath.Path(self.create_tempdir().full_path) / 'packed'

  def test_what_is_restored_is_what_was_trained(self):
    params = make_state(1).params
    trained = jax.jit(lambda p: ternary.ternarize_tree(p, RULES))(params)
    with ocp.AsyncCheckpointer(PackedCheckpointHandler()) as checkpointer:
      checkpointer.save(self.path, args=PackedSave(params, RULES))
      checkpointer.wait_until_finished()
      tree = checkpointer.restore(self.path, args=PackedRestore())
    self.assertTrue(packed.is_packed(tree['conv']['kernel']))
    chex.assert_trees_all_equal(jax.jit(packed.unpack_tree)(tree), trained)

  def test_a_corrupt_code_on_disk_is_refused(self):
    tree = packed.pack_tree_jit(make_state(1).params, RULES)
    leaf = tree['conv']['kernel']
    words = leaf.words.at[0, 0].set(jnp.uint32(0x55555555))
    tree['conv']['kernel'] = leaf.replace(words=words)
    with ocp.Checkpointer(PackedCheckpointHandler()) as checkpointer:
      checkpointer.save(self.path, args=PackedSave(tree))
      with self.assertRaisesRegex(CheckpointError, "'conv/kernel' holds 16"):
        checkpointer.restore(self.path, args=PackedRestore())

  def test_a_float_item_is_refused(self):
    with ocp.StandardCheckpointer() as checkpointer:
      checkpointer.save(self.path, make_state(1).params)
    with (
      ocp.Checkpointer(PackedCheckpointHandler()) as checkpointer,
      self.assertRaisesRegex(CheckpointError, 'holds no packed weights'),
    ):
      checkpointer.restore(self.path, args=PackedRestore())
