import errno
import json
import os
import pathlib
import tempfile
from unittest import mock

import chex

from facejax.errors import CheckpointError
from facejax.training.writers import MetricsWriter


class MetricsWriterTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder)
    self.path = self.folder / 'metrics.jsonl'

  def _writer(self, **options):
    writer = MetricsWriter(self.folder, **options)
    self.addCleanup(writer.close)
    return writer

  def test_rows_come_back_as_written(self):
    writer = self._writer(start_step=0)
    writer.write(1, {'loss': 0.1})
    writer.write(2, {'loss': 1 / 3, 'accuracy': 1.0})
    self.assertEqual(
      writer.rows(),
      [{'step': 1, 'loss': 0.1}, {'step': 2, 'loss': 1 / 3, 'accuracy': 1.0}],
    )

  def test_a_row_is_on_disk_when_write_returns(self):
    self._writer(start_step=0).write(1, {'loss': 2.0})
    self.assertEqual(self.path.read_text(), '{"step": 1, "loss": 2.0}\n')

  def test_what_is_not_finite_becomes_null_so_that_it_stays_json(self):
    writer = self._writer(start_step=0)
    writer.write(1, {'loss': float('nan'), 'norm': float('inf')})
    self.assertEqual(
      json.loads(self.path.read_text()),
      {'step': 1, 'loss': None, 'norm': None},
    )

  def test_a_resumed_run_drops_what_came_after_its_checkpoint(self):
    writer = self._writer(start_step=0)
    for step in (1, 2, 3):
      writer.write(step, {})
    writer = self._writer(start_step=2)
    self.assertEqual(writer.rows(), [{'step': 1}, {'step': 2}])

  def test_a_new_run_starts_an_empty_file(self):
    self._writer(start_step=0).write(1, {})
    self.assertEqual(self._writer(start_step=0).rows(), [])
    self.assertEqual(self.path.read_text(), '')

  def test_a_line_cut_short_by_a_crash_is_left_out(self):
    self.path.write_text('{"step": 1}\n{"step": 2, "lo')
    writer = self._writer(start_step=2)
    writer.write(2, {'loss': 1.0})
    self.assertEqual(writer.rows(), [{'step': 1}, {'step': 2, 'loss': 1.0}])

  def test_only_the_first_process_writes(self):
    with mock.patch('jax.process_index', return_value=1):
      self._writer(start_step=0).write(1, {})
    self.assertFalse(self.path.exists())
    self.assertEqual(os.listdir(self.folder), [])

  def test_a_full_disk_is_an_error_of_the_user(self):
    writer = self._writer(start_step=0)
    full = OSError(errno.ENOSPC, 'No space left on device')
    with (
      mock.patch.object(writer._events, 'write', side_effect=full),
      self.assertRaisesRegex(CheckpointError, r'no space left.*metrics\.jsonl'),
    ):
      writer.write(1, {'loss': 1.0})

  def test_event_files_can_be_left_out(self):
    self._writer(start_step=0, tensorboard=False).write(1, {'loss': 1.0})
    self.assertEqual(os.listdir(self.folder), ['metrics.jsonl'])
