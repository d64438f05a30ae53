import contextlib
import functools
import io
import os
import pickle
import pickletools
import struct

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.data.unpickle import RestrictedUnpickler, load_arrays
from facejax.errors import DataError

# Written by Python 2.7 with NumPy 1.16, protocol 2: ([u1 array [2], str], True)
PYTHON_2 = (
  b'\x80\x02]q\x00(cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\n'
  b'ndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\n'
  b'q\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xff'
  b'J\xff\xff\xff\xffK\x00tb\x89U\x02\xff\xd8tbU\x03\xff\xd8ae\x88\x86.'
)
VALUE = {
  'bytes': [b'', b'\xff\xd8jpeg', b'x' * 300],
  'same': (True, False, np.bool_(True), None),
  'numbers': [0, -1, 2**70, 0.5, np.float32(1.5), np.int64(-3)],
  'arrays': [
    np.arange(6, dtype=np.uint8).reshape(6, 1),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, 2], '>i4'),
    np.array(['ab', 'c']),
    np.array([b'ab', b'']),
    np.zeros((0, 3), np.float16),
    np.array(7),
  ],
  'text': {'text': 'text'},
}


def global_call(module, name, argument):
  """A pickle that calls module.name(argument), protocol 0."""
  return f'c{module}\n{name}\n(V{argument}\ntR.'.encode()


def stack_global(module, name):
  """A pickle of protocol 4 that is module.name."""
  text = [
    b'\x8c' + bytes([len(part)]) + part.encode() for part in (module, name)
  ]
  return b'\x80\x04' + b''.join(text) + b'\x93.'


class Reduced:
  """Pickles as a call of any function."""

  def __init__(self, *reduced):
    self.reduced = reduced

  def __reduce__(self):
    return self.reduced


class Plain:
  pass


class UnpickleTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.trace = os.path.join(self.create_tempdir().full_path, 'trace')

  def refused(self, data, message='refused|readable pickle'):
    with self.assertRaisesRegex(DataError, message):
      load_arrays(data, where='evil.bin')
    self.assertFalse(os.path.exists(self.trace), 'code of the pickle has run')

  @parameterized.parameters(range(6))
  def test_plain_data_of_every_protocol_comes_back(self, protocol):
    result = load_arrays(pickle.dumps(VALUE, protocol), where='x')
    chex.assert_trees_all_equal(result, VALUE)
    for array, expected in zip(result['arrays'], VALUE['arrays'], strict=True):
      self.assertIs(type(array), np.ndarray)
      self.assertEqual(array.dtype.str[1:], expected.dtype.str[1:])

  @parameterized.parameters(range(6))
  def test_an_array_that_stands_there_twice_is_one_array(self, protocol):
    array = np.arange(3)
    first, second = load_arrays(pickle.dumps([array] * 2, protocol), where='x')
    self.assertIs(first, second)

  def test_a_pickle_of_python_2_comes_back_as_bytes(self):
    (array, text), same = load_arrays(PYTHON_2, where='x')
    np.testing.assert_array_equal(array, np.array([255, 216], np.uint8))
    self.assertEqual(text, b'\xff\xd8a')
    self.assertIs(same, True)
    (array, text), _ = load_arrays(PYTHON_2, where='x', encoding='latin1')
    np.testing.assert_array_equal(array, np.array([255, 216], np.uint8))
    self.assertEqual(text, '\xff\xd8a')

  @parameterized.parameters('numpy.core', 'numpy._core')
  def test_both_spellings_of_numpy_are_read(self, core):
    data = pickle.dumps(np.arange(4), 2)
    for known in (b'numpy._core', b'numpy.core'):
      data = data.replace(known + b'.m', core.encode() + b'.m')
    self.assertIn(core.encode(), data)
    np.testing.assert_array_equal(load_arrays(data, where='x'), np.arange(4))

  @parameterized.parameters(
    ('os', 'system'),
    ('posix', 'system'),
    ('nt', 'system'),
    ('subprocess', 'getoutput'),
    ('pty', 'spawn'),
    ('runpy', 'run_path'),
    ('webbrowser', 'open'),
  )
  def test_no_command_is_run(self, module, name):
    self.refused(
      global_call(module, name, f'touch {self.trace}'),
      rf'asks for {module}\.{name}, which may run code',
    )

  @parameterized.parameters('builtins', '__builtin__')
  def test_no_expression_is_evaluated(self, module):
    code = f'open({self.trace!r}, "w")'
    for name in ('eval', 'exec', 'compile', 'open', '__import__', 'getattr'):
      self.refused(global_call(module, name, code), 'may run code')

  @parameterized.parameters(range(6))
  def test_a_call_deep_inside_is_refused(self, protocol):
    evil = Reduced(os.system, (f'touch {self.trace}',))
    for value in (evil, [evil], ([b'jpeg', {'a': (1, evil)}], [True])):
      self.refused(pickle.dumps(value, protocol), 'may run code')

  @parameterized.parameters(
    ('numpy', 'core.multiarray._reconstruct'),
    ('numpy', 'ndarray.tofile'),
    ('numpy', 'f2py.os.system'),
    ('numpy.core', 'multiarray.os.system'),
    ('numpy', 'load'),
    ('numpy', 'fromfile'),
    ('numpy', 'memmap'),
    ('numpy.testing._private.utils', 'runstring'),
    ('numpy.core.multiarray', 'fromfile'),
    ('numpy._core.multiarray', 'set_typeDict'),
    ('_codecs', 'lookup'),
    ('codecs', 'open'),
    ('copyreg', '_reconstructor'),
    ('copyreg', '__newobj__'),
    ('copy_reg', '_reconstructor'),
    ('functools', 'partial'),
    ('operator', 'attrgetter'),
    ('facejax.data.unpickle', 'load_arrays'),
  )
  def test_names_near_the_admitted_ones_are_refused(self, module, name):
    self.refused(stack_global(module, name), 'may run code')

  def test_objects_are_neither_made_nor_changed(self):
    for value in (
      Plain(),
      Plain,
      functools.partial(print),
      slice(3),
      {1, 2},
      frozenset([1]),
      range(3),
    ):
      for protocol in (0, 2, 4):
        self.refused(pickle.dumps(value, protocol))

  @parameterized.parameters(
    b'cnumpy\ndtype\n(N}V__setstate__\ncnumpy\ndtype\nsb.',  # BUILD, class
    b'c_codecs\nencode\n(N}V_function\ncnumpy\ndtype\nstb.',
    b'cnumpy\nndarray\n}V__class__\ncnumpy\ndtype\nsb.',
    b'cnumpy\nndarray\n(K\x09tR.',  # numpy.ndarray(9)
    b'cnumpy\nndarray\n)\x81.',  # NEWOBJ
    b'(cnumpy\nndarray\no.',  # OBJ
    b'(inumpy\nndarray\n.',  # INST
    b'P1\n.',  # a persistent id
    b'K\x01Q.',
    b'\x82\x01.',  # an extension code
    b'\x97.',  # an out-of-band buffer
    b'cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR.',  # bytes(2 ** 31 - 1)
    b'c_codecs\nencode\n(Vx\nVrot13\ntR.',
    b'\x8f(K\x01\x90.',  # a set
  )
  def test_hostile_instructions_are_refused(self, data):
    self.refused(data)

  @parameterized.parameters(
    'O', 'V8', 'M8[s]', ([('a', 'O')],), ([('a', 'u1')],)
  )
  def test_arrays_of_anything_but_numbers_are_refused(self, dtype):
    self.refused(pickle.dumps(np.zeros(2, dtype), 2), 'not read')

  def test_an_array_that_claims_more_than_it_has_is_refused(self):
    data = pickle.dumps(np.arange(5, dtype=np.uint8), 2)
    length = data.index(b'K\x05\x85')
    for claim in (b'K\x06', b'J\xff\xff\xff\x7f', b'J\xff\xff\xff\xff'):
      self.refused(
        data[:length] + claim + data[length + 2 :], 'claims|impossible shape'
      )

  def test_claimed_lengths_allocate_nothing(self):
    many = struct.pack('<Q', 1 << 40)
    self.refused(b'\x80\x05\x96' + many + b'ab.')  # BYTEARRAY8
    self.refused(b'\x80\x04\x8e' + many + b'ab.')  # BINBYTES8
    self.refused(b'\x80\x04\x95' + many + b'ab.')  # FRAME
    # LONG_BINPUT sizes a table in the interpreter in C: 64 GB here.
    self.assertEqual(load_arrays(b'K\x01r\xff\xff\xff\xff.', where='x'), 1)

  def test_a_key_nested_without_end_is_refused(self):
    self.refused(b'}' + b')' + b'\x85' * 1_000_000 + b'K\x01s.', 'a key is')

  @settings(deadline=None, max_examples=300)
  @given(st.data())
  def test_damage_raises_nothing_but_a_data_error(self, data):
    whole = pickle.dumps(VALUE, data.draw(st.integers(0, 5)))
    kept = whole[: data.draw(st.integers(0, len(whole)))]
    content = bytearray(kept)
    for _ in range(data.draw(st.integers(0, 4))):
      if content:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
      load_arrays(bytes(content), where='x')
    except DataError as error:
      self.assertStartsWith(str(error), 'x: ')

  @settings(deadline=None, max_examples=300)
  @given(st.lists(st.sampled_from(pickletools.opcodes)), st.binary())
  def test_random_programs_raise_nothing_but_a_data_error(self, codes, tail):
    program = b''.join(op.code.encode('latin-1') for op in codes) + tail
    with contextlib.suppress(DataError):
      load_arrays(program + b'.', where='x')

  def test_further_names_are_admitted_one_by_one(self):
    class Filled:
      def __setstate__(self, state):
        self.state = state

    module, name = Plain.__module__, Plain.__qualname__
    thing = Plain()
    thing.a = 1
    unpickler = RestrictedUnpickler(
      io.BytesIO(pickle.dumps([thing, 2], 2) + b'rest'),
      where='x',
      admitted={(module, name): Filled},
    )
    filled, two = unpickler.load()
    self.assertEqual((filled.state, two), ({'a': 1}, 2))


if __name__ == '__main__':
  absltest.main()
