import zipfile

import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.errors import DataError
from facejax.importing.pytorch_files import read_state_dict
from tests.importing.checkpoints import (
  BIAS,
  WEIGHT,
  WRITERS,
  CheckpointCase,
  Storage,
  legacy_bytes,
  small,
  tensor,
  whole,
  zip_bytes,
)


class PytorchFilesTest(CheckpointCase):
  @parameterized.parameters(*WRITERS)
  def test_arrays_come_back_in_their_order(self, write):
    state = self.read(write(small()))
    self.assertEqual(list(state), ['conv.weight', 'conv.bias'])
    np.testing.assert_array_equal(state['conv.weight'], WEIGHT)
    np.testing.assert_array_equal(state['conv.bias'], BIAS)
    self.assertFalse(state['conv.weight'].flags.writeable)

  def test_a_deflated_zip_is_read(self):
    data = zip_bytes(small(), compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(self.read(data)['conv.weight'], WEIGHT)

  def test_many_tensors_of_one_storage_do_not_multiply_it(self):
    storage = Storage('0', np.zeros(5000, '<f4'))
    value = {f'{i}.weight': tensor(storage, (5000, 1)) for i in range(2000)}
    self.refused(zip_bytes(value), 'refused, it claims 10000000 bytes')

  def test_a_zip_bomb_is_refused(self):
    value = {'weight': whole('0', np.zeros((1 << 20, 1), '<f4'))}
    data = zip_bytes(value, compression=zipfile.ZIP_DEFLATED)
    self.assertLess(len(data), 10_000)
    self.refused(data, 'refused, it claims 4194304 bytes')

  def test_a_member_that_climbs_out_is_refused(self):
    self.refused(zip_bytes(small(), more={'../evil': b''}), 'unsafe member')

  def test_a_key_that_climbs_out_finds_nothing(self):
    value = {'weight': whole('../../../etc/passwd', WEIGHT)}
    data = zip_bytes(value).replace(
      b'archive/data/../../../', b'archive/data/aa/bb/cc'
    )
    with self.assertRaises(DataError):
      self.read(data)

  def test_programs_and_other_zips_say_what_to_do(self):
    script = zip_bytes(small(), more={'archive/constants.pkl': b''})
    self.refused(script, 'TorchScript.*torch.jit.load')
    script = zip_bytes(small(), more={'archive/code/a.py': b''})
    self.refused(script, 'TorchScript.*torch.jit.load')
    pack = zip_bytes(small()).replace(b'data.pkl', b'w600k.on')
    self.refused(pack, 'no data.pkl.*unpack it')
    big = zip_bytes(small(), byteorder='big')
    self.refused(big, 'big-endian')

  def test_an_unknown_version_is_refused(self):
    data = legacy_bytes(small()).replace(
      b'\x80\x02M\xe9\x03.', b'\x80\x02K\x09.'
    )
    self.refused(data, 'unknown version')

  def test_what_is_no_checkpoint_is_named(self):
    self.refused(b'\x80\x02K\1.', 'is no file of torch.save')

  @parameterized.parameters(*WRITERS)
  def test_a_cut_file_is_refused_wherever_it_is_cut(self, write):
    data = write(small())
    for length in range(0, len(data), 7):
      with self.assertRaises(DataError):
        self.read(data[:length])

  @settings(deadline=None, max_examples=150)
  @given(st.data())
  def test_damage_raises_nothing_but_a_data_error(self, data):
    content = bytearray(data.draw(st.sampled_from(WRITERS))(small()))
    for _ in range(data.draw(st.integers(1, 4))):
      place = data.draw(st.integers(0, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255))
    try:
      state = self.read(bytes(content))
    except DataError as error:
      self.assertIn('x.pth', str(error))
    else:
      for array in state.values():
        array.tobytes()  # every number is within the file


def test_the_real_checkpoint_equals_what_pytorch_loads(shared):
  torch = pytest.importorskip('torch')
  path = f'{shared}/weights/xiaoccer_mobilefacenet_112x96/068.ckpt'
  expected = torch.load(path, weights_only=True, map_location='cpu')
  expected = expected['net_state_dict']
  state = read_state_dict(path)
  assert list(state) == list(expected)
  for name, array in expected.items():
    np.testing.assert_array_equal(state[name], array.numpy())


@pytest.mark.parametrize('new', [True, False])
def test_what_pytorch_saves_is_read(tmp_path, new):
  torch = pytest.importorskip('torch')
  base = torch.arange(24.0).reshape(4, 6)
  tensors = {
    'a.weight': base.T,
    'b.weight': base[1:, ::2],
    'shared.weight': base,
    'half.weight': base.half(),
    'bf16.weight': base.to(torch.bfloat16) / 7,
    'double.weight': base.double(),
    'parameter.weight': torch.nn.Parameter(base + 1),
    'empty': torch.zeros(0, 3),
    'scalar': torch.tensor(7),
    'flags': torch.tensor([True, False]),
    'bytes': torch.tensor([1, 255], dtype=torch.uint8),
  }
  path = tmp_path / 'x.pt'
  torch.save(
    {'epoch': 1, 'model': tensors},
    path,
    _use_new_zipfile_serialization=new,
  )
  state = read_state_dict(path)
  assert list(state) == list(tensors)
  for name, tensor_ in tensors.items():
    array = tensor_.detach()
    array = array.float() if array.dtype == torch.bfloat16 else array
    np.testing.assert_array_equal(state[name], array.numpy(), err_msg=name)
    assert state[name].dtype == array.numpy().dtype


def test_a_whole_module_of_pytorch_is_refused(tmp_path):
  torch = pytest.importorskip('torch')
  torch.save(torch.nn.Linear(2, 3), tmp_path / 'x.pt')
  with pytest.raises(DataError, match=r'modules\.linear\.Linear.*state_dict'):
    read_state_dict(tmp_path / 'x.pt')


def test_a_checkpoint_with_an_optimizer_gives_its_net(tmp_path):
  torch = pytest.importorskip('torch')
  net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
  optimizer = torch.optim.Adam(net.parameters())
  net(torch.zeros(1, 1, 4, 4)).sum().backward()
  optimizer.step()
  scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
  torch.save(
    {
      'optimizer': optimizer.state_dict(),
      'scheduler': scheduler.state_dict(),  # with a Counter
      'state_dict': net.state_dict(),
    },
    tmp_path / 'x.pt',
  )
  assert list(read_state_dict(tmp_path / 'x.pt')) == list(net.state_dict())
