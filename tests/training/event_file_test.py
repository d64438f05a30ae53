import contextlib
import pathlib
import struct
import subprocess
import sys
import tempfile

import chex
import numpy as np
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2

from facejax.training.writers import MetricsWriter
from tests.conftest import REPOSITORY


def _crc(data):
  """CRC-32C (RFC 3720) a bit at a time, masked as TFRecord does."""
  crc = 0xFFFFFFFF
  for byte in data:
    crc ^= byte
    for _ in range(8):
      crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
  crc ^= 0xFFFFFFFF
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _events(path):
  """The events of a file, every checksum of which is verified."""
  data, events = path.read_bytes(), []
  while data:
    length, length_crc = struct.unpack('<QI', data[:12])
    content = data[12 : 12 + length]
    (content_crc,) = struct.unpack('<I', data[12 + length : 16 + length])
    assert (length_crc, content_crc) == (_crc(data[:8]), _crc(content))
    events.append(event_pb2.Event.FromString(content))
    data = data[16 + length :]
  return events


class EventFilesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder)

  def _write(self, start_step, steps, name='loss'):
    with contextlib.closing(
      MetricsWriter(self.folder, start_step=start_step)
    ) as writer:
      for step in steps:
        writer.write(step, {name: start_step + step / 8})
      return writer.rows()

  def _shown(self, name='loss'):
    """(step, value) of a curve as TensorBoard shows it."""
    folder = str(self.folder / 'tensorboard')
    shown = event_accumulator.EventAccumulator(folder).Reload()
    return [(scalar.step, scalar.value) for scalar in shown.Scalars(name)]

  def test_the_file_holds_the_rows_as_soon_as_they_are_written(self):
    writer = MetricsWriter(self.folder, start_step=0)
    self.addCleanup(writer.close)
    writer.write(1, {'loss': 1 / 3, 'seconds/data': 2.0})
    writer.write(1, {'evaluation/lfw/accuracy': 0.5})
    writer.write(20_000_000, {'loss': 1e-30})
    (path,) = (self.folder / 'tensorboard').iterdir()
    version, start, *events = _events(path)
    self.assertEqual(version.file_version, 'brain.Event:2')
    self.assertEqual(
      (start.step, start.session_log.status), (1, event_pb2.SessionLog.START)
    )
    self.assertEqual(
      [
        {'step': event.step}
        | {value.tag: value.simple_value for value in event.summary.value}
        for event in events
      ],
      [
        {
          name: value if name == 'step' else float(np.float32(value))
          for name, value in row.items()
        }
        for row in writer.rows()
      ],
    )

  def test_what_is_not_finite_stays_what_it_is(self):
    with contextlib.closing(MetricsWriter(self.folder, start_step=0)) as writer:
      writer.write(1, {'loss': float('nan'), 'norm': float('inf')})
    (path,) = (self.folder / 'tensorboard').iterdir()
    loss, norm = _events(path)[-1].summary.value
    self.assertTrue(np.isnan(loss.simple_value))
    self.assertEqual(norm.simple_value, np.inf)

  def test_a_run_that_goes_on_shows_no_dropped_step_and_none_twice(self):
    self._write(0, [1, 2, 3, 4, 5])
    self.assertLen(self._shown(), 5)
    rows = self._write(3, [4, 6])
    expected = [(1, 0.125), (2, 0.25), (3, 0.375), (4, 3.5), (6, 3.75)]
    self.assertEqual(self._shown(), expected)
    self.assertEqual([(row['step'], row['loss']) for row in rows], expected)

  def test_dropped_steps_of_other_curves_go_too(self):
    self._write(0, [1, 2, 3], name='evaluation/lfw/accuracy')
    self._write(2, [3])
    self.assertEqual(
      self._shown('evaluation/lfw/accuracy'), [(1, 0.125), (2, 0.25)]
    )

  def test_a_new_run_shows_nothing_of_one_without_a_checkpoint(self):
    self._write(0, [1, 2, 3])
    self._write(0, [1])
    self.assertEqual(self._shown(), [(1, 0.125)])

  def test_a_file_cut_short_by_a_crash_is_followed_by_the_next(self):
    self._write(0, [1, 2, 3])
    (path,) = (self.folder / 'tensorboard').iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    self._write(2, [3, 4])
    self.assertEqual(
      self._shown(), [(1, 0.125), (2, 0.25), (3, 2.375), (4, 2.5)]
    )

  def test_neither_tensorflow_nor_torch_is_loaded(self):
    code = f"""
import sys
from facejax.training.writers import MetricsWriter
assert 'tensorboard' not in sys.modules
writer = MetricsWriter({str(self.folder)!r}, start_step=0)
writer.write(1, {{'loss': 1.0}})
assert 'tensorboard' in sys.modules
assert not {{'tensorflow', 'torch'}} & set(sys.modules)
"""
    subprocess.run(
      [sys.executable, '-c', code], cwd=REPOSITORY, check=True, timeout=60
    )
    self.assertEqual(self._shown(), [(1, 1.0)])
