import io

import chex
from absl.testing import absltest, parameterized

from facejax.data import recordio
from facejax.errors import DataError, UsageError

MAGIC = b'\x0a\x23\xd7\xce'


class FormatTest(chex.TestCase):
  @parameterized.parameters(
    (b'', '0a23d7ce 00000000'),
    (b'abc', '0a23d7ce 03000000 61626300'),
    (b'abcd', '0a23d7ce 04000000 61626364'),
    (b'abcde', '0a23d7ce 05000000 61626364 65000000'),
    (MAGIC, '0a23d7ce 00000020 0a23d7ce 00000060'),
    (b'abcd' + MAGIC + b'e',
     '0a23d7ce 04000020 61626364 0a23d7ce 01000060 65000000'),
    (MAGIC * 2, '0a23d7ce 00000020 0a23d7ce 00000040 0a23d7ce 00000060'),
    (b'a' + MAGIC, '0a23d7ce 05000000 610a23d7 ce000000'),
    (b'ab' + MAGIC + b'cd', '0a23d7ce 08000000 61620a23 d7ce6364'),
  )  # fmt: skip
  def test_records_are_split_where_the_magic_is_aligned(
    self, payload, expected
  ):
    file = io.BytesIO()
    recordio.write_record(file, payload)
    self.assertEqual(file.getvalue().hex(), expected.replace(' ', ''))

  @parameterized.parameters(
    (7, '00000000 0000e040 0500000000000000 0000000000000000'),
    ((7.0, 1.5), '02000000 00000000 0500000000000000 0000000000000000'
                 '0000e040 0000c03f'),
  )  # fmt: skip
  def test_one_label_has_flag_0_and_a_vector_its_length(self, labels, head):
    payload = recordio.pack(labels, 5, b'image')
    self.assertEqual(payload.hex(), head.replace(' ', '') + b'image'.hex())
    back, key, image = recordio.unpack(payload, where='x')
    self.assertEqual(back, labels if isinstance(labels, tuple) else (7.0,))
    self.assertEqual((key, image), (5, b'image'))

  @parameterized.parameters(b'', b'\0' * 23, b'\xff' * 24, b'\2' + b'\0' * 27)
  def test_a_payload_too_short_for_its_labels_is_a_data_error(self, payload):
    with self.assertRaisesRegex(DataError, 'x: the record is too short'):
      recordio.unpack(payload, where='x')

  def test_a_payload_of_half_a_gigabyte_does_not_fit(self):
    class Huge(bytes):
      def __len__(self):
        return 1 << 29

    with self.assertRaisesRegex(UsageError, 'at most 536870911'):
      recordio.write_record(io.BytesIO(), Huge())


if __name__ == '__main__':
  absltest.main()
