import json
import pathlib
import tempfile
from unittest import mock

import chex

from facejax.training.writers import Clock, MetricsWriter


class MetricsWriterTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder)
    self.path = self.folder / 'metrics.jsonl'

  def test_rows_come_back_as_written(self):
    writer = MetricsWriter(self.folder, start_step=0)
    writer.write(1, {'loss': 0.1})
    writer.write(2, {'loss': 1 / 3, 'accuracy': 1.0})
    self.assertEqual(
      writer.rows(),
      [{'step': 1, 'loss': 0.1}, {'step': 2, 'loss': 1 / 3, 'accuracy': 1.0}],
    )

  def test_a_row_is_on_disk_when_write_returns(self):
    MetricsWriter(self.folder, start_step=0).write(1, {'loss': 2.0})
    self.assertEqual(self.path.read_text(), '{"step": 1, "loss": 2.0}\n')

  def test_what_is_not_finite_becomes_null_so_that_it_stays_json(self):
    writer = MetricsWriter(self.folder, start_step=0)
    writer.write(1, {'loss': float('nan'), 'norm': float('inf')})
    self.assertEqual(
      json.loads(self.path.read_text()),
      {'step': 1, 'loss': None, 'norm': None},
    )

  def test_a_resumed_run_drops_what_came_after_its_checkpoint(self):
    writer = MetricsWriter(self.folder, start_step=0)
    for step in (1, 2, 3):
      writer.write(step, {})
    writer = MetricsWriter(self.folder, start_step=2)
    self.assertEqual(writer.rows(), [{'step': 1}, {'step': 2}])

  def test_a_new_run_starts_an_empty_file(self):
    MetricsWriter(self.folder, start_step=0).write(1, {})
    self.assertEqual(MetricsWriter(self.folder, start_step=0).rows(), [])
    self.assertEqual(self.path.read_text(), '')

  def test_a_line_cut_short_by_a_crash_is_left_out(self):
    self.path.write_text('{"step": 1}\n{"step": 2, "lo')
    writer = MetricsWriter(self.folder, start_step=2)
    writer.write(2, {'loss': 1.0})
    self.assertEqual(writer.rows(), [{'step': 1}, {'step': 2, 'loss': 1.0}])

  def test_only_the_first_process_writes(self):
    with mock.patch('jax.process_index', return_value=1):
      MetricsWriter(self.folder, start_step=0).write(1, {})
    self.assertFalse(self.path.exists())


class ClockTest(chex.TestCase):
  def test_the_rate_leaves_out_the_first_step_and_pauses(self):
    now = 0.0
    with mock.patch('time.perf_counter', lambda: now):
      clock = Clock()
      self.assertEqual(clock.rate(), 0.0)
      now = 100.0  # compilation
      clock.step_done(8)
      self.assertEqual(clock.rate(), 0.0)
      now = 102.0
      clock.step_done(8)
      self.assertEqual(clock.rate(), 4.0)
      clock.pause()
      now = 500.0  # an evaluation
      clock.step_done(8)
      now = 504.0
      clock.step_done(8)
      self.assertEqual(clock.rate(), 16 / 6)
