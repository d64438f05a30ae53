import collections
import os

import numpy as np
from absl.testing import absltest, parameterized

from tests.importing.checkpoints import (
  WEIGHT,
  WRITERS,
  CheckpointCase,
  Global,
  Reduced,
  Storage,
  legacy_bytes,
  small,
  tensor,
  whole,
  zip_bytes,
)


class PytorchTensorsTest(CheckpointCase):
  @parameterized.parameters(*WRITERS)
  def test_views_of_one_storage_are_what_they_say(self, write):
    storage = Storage('7', WEIGHT)
    state = self.read(
      write({
        'weight': tensor(storage, (3, 2), (1, 12), 4),
        'whole': tensor(storage),
      })
    )  # fmt: skip
    np.testing.assert_array_equal(state['weight'], [[4, 16], [5, 17], [6, 18]])
    np.testing.assert_array_equal(state['whole'], WEIGHT.reshape(-1))

  def test_an_old_view_of_a_storage_counts_from_its_start(self):
    storage = Storage('7', WEIGHT, view=(('v', 20, 4),))
    state = self.read(legacy_bytes({'weight': tensor(storage, (2, 2))}))
    np.testing.assert_array_equal(state['weight'], [[20, 21], [22, 23]])

  @parameterized.parameters(*WRITERS)
  def test_parameters_sizes_and_plain_values_stand_beside(self, write):
    parameter = Reduced(
      Global('torch._utils', '_rebuild_parameter'),
      whole('0', WEIGHT), True, collections.OrderedDict(),
    )  # fmt: skip
    size = Reduced(Global('torch', 'Size'), (2, 3))
    device = Reduced(Global('torch', 'device'), 'cuda', 0)
    net = {'conv.weight': parameter}
    value = {'epoch': 3, 'net': net, 'size': size, 'on': device}
    np.testing.assert_array_equal(
      self.read(write(value))['conv.weight'], WEIGHT
    )

  def test_bytes_of_any_type_are_read_by_the_dtype_beside_them(self):
    storage = Storage(
      '0', WEIGHT.view('u1'), type=Global('torch.storage', 'UntypedStorage'),
      count=96,
    )  # fmt: skip
    rebuilt = Reduced(
      Global('torch._utils', '_rebuild_tensor_v3'), storage, 12, (3, 4), (4, 1),
      False, collections.OrderedDict(), Global('torch', 'float32'),
    )  # fmt: skip
    state = self.read(zip_bytes({'weight': rebuilt}))
    np.testing.assert_array_equal(state['weight'], WEIGHT[1].reshape(3, 4))

  def test_strings_of_python_2_are_read(self):
    data = legacy_bytes({'weight': whole('0', WEIGHT)})
    key = b'X\6\0\0\0weight'
    self.assertIn(key, data)
    state = self.read(data.replace(key, b'U\6weight'))
    np.testing.assert_array_equal(state['weight'], WEIGHT)
    # How Python 2 makes an OrderedDict: of a list of pairs.
    pairs = Reduced(
      Global('collections', 'OrderedDict'), [['weight', whole('0', WEIGHT)]]
    )
    state = self.read(legacy_bytes(pairs))
    np.testing.assert_array_equal(state['weight'], WEIGHT)

  @parameterized.product(write=WRITERS, place=('beside', 'top', 'inside'))
  def test_nothing_that_a_pickle_calls_is_run(self, write, place):
    evil = Reduced(os.system, f'touch {self.trace}')
    value = small()
    if place == 'beside':
      value = {'state_dict': value, 'args': evil}
    elif place == 'inside':
      value['conv.bias'] = evil
    self.refused(
      write(evil if place == 'top' else value),
      r'refused, it holds an object of (posix|nt)\.system, and making it may '
      r'run code: .* torch\.save\(model\.state_dict\(\)',
    )

  @parameterized.parameters(
    ('torch.nn.modules.conv', 'Conv2d'),
    ('torch._utils', '_rebuild_sparse_tensor'),
    ('torch', 'ComplexFloatStorage'),
    ('torch.storage', '_load_from_bytes'),
    ('torch', 'load'),
    ('builtins', 'eval'),
  )
  def test_objects_of_other_classes_are_refused_by_name(self, module, name):
    value = Reduced(Global(module, name), b'x')
    self.refused(zip_bytes(value), rf'{module}\.{name}')

  def test_a_module_of_an_old_file_is_refused(self):
    data = legacy_bytes(small())
    # BINPERSID of ('module', None, None)
    evil = b'\x80\x02X\6\0\0\0moduleNN\x87Q.'
    start = data.index(b'ccollections') - 2
    self.refused(data[:start] + evil, r'whole module.*state_dict')

  @parameterized.parameters(
    {'shape': (25,)},
    {'shape': (24,), 'offset': 1},
    {'shape': (2, 2), 'strides': (23, 1)},
    {'shape': (-1,)},
    {'shape': (24,), 'strides': (-1,)},
    {'shape': (4,), 'offset': -1},
    {'shape': (1 << 40, 0), 'strides': (1 << 40, 1 << 50)},
    {'shape': (1 << 30,), 'strides': (0,)},
    {'shape': (1, 2), 'strides': (1,)},
    {'shape': (1,) * 9, 'strides': (1,) * 9},
    {'shape': (True, 'a'), 'strides': (1, 1)},
    {'shape': (2.0,), 'strides': (1,)},
    {'shape': (0,), 'strides': (1,), 'offset': 25},
  )
  def test_a_tensor_that_leaves_its_storage_is_refused(self, **place):
    value = {'weight': tensor(Storage('0', WEIGHT), **place)}
    for write in WRITERS:
      self.refused(write(value), 'reaches out of|impossible')

  def test_a_storage_that_is_smaller_than_its_claim_is_refused(self):
    for count in (25, 1 << 40):
      storage = Storage('0', WEIGHT, count=count)
      value = {'weight': tensor(storage, (25,))}
      self.refused(zip_bytes(value), 'should have|it claims')
      self.refused(legacy_bytes(value), 'cut short|should have')

  def test_two_claims_of_one_storage_are_both_checked(self):
    first, second = Storage('0', WEIGHT, count=200), Storage('0', WEIGHT)
    value = {'weight': tensor(first, (200,)), 'b': tensor(second)}
    self.refused(zip_bytes(value), 'has 96 bytes and should have 800')

  def test_a_view_that_leaves_its_storage_is_refused(self):
    storage = Storage('7', WEIGHT, view=(('v', 21, 4),))
    self.refused(legacy_bytes({'weight': tensor(storage, (4,))}), 'reaches out')

  def test_a_lazy_view_is_refused(self):
    lazy = tensor(Storage('0', WEIGHT), rest=({'neg': True},))
    self.refused(zip_bytes({'weight': lazy}), r'lazy view: save its \.clone')


if __name__ == '__main__':
  absltest.main()
