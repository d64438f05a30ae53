import contextlib
import gzip
import io
import json
import pathlib
import tempfile
from unittest import mock

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.training.profiling import ProfileWindow, parse_window


class ParseWindowTest(chex.TestCase):
  def test_first_and_last_step(self):
    self.assertEqual(parse_window('10:15'), (10, 15))
    self.assertEqual(parse_window('1:1'), (1, 1))

  def test_nothing_asks_for_no_profile(self):
    self.assertIsNone(parse_window(''))

  @parameterized.parameters(
    '10', '10:', ':5', 'a:b', '1:2:3', '-1:4', '1.5:2', ' 1:2', '0:4', '5:4'
  )
  def test_anything_else_is_refused(self, text):
    with self.assertRaisesRegex(UsageError, f"^profile '{text}': (give|use)"):
      parse_window(text)


class ProfileWindowTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(self.workdir) / 'profile'
    self.stderr = io.StringIO()
    self.enterContext(contextlib.redirect_stderr(self.stderr))

  def _run(self, first, last, steps, *, fails_at=None, **options):
    """Runs steps in a window; returns those in the trace, if there is one."""
    compute = jax.jit(lambda x: x @ x)
    window = ProfileWindow(self.workdir, first, last, **options)
    with (
      contextlib.suppress(KeyError),
      contextlib.closing(window),
    ):
      for step in steps:
        with window.annotate(step):
          result = compute(jnp.ones((8, 8)))
        if step == fails_at:
          raise KeyError
        window.started(step, {'loss': result})
    return self._traced()

  def _traced(self):
    paths = list(self.folder.rglob('perfetto_trace.json.gz'))
    if not paths:
      return None
    (path,) = paths
    events = json.loads(gzip.decompress(path.read_bytes()))['traceEvents']
    return [
      int(event['args']['step_num'])
      for event in events
      if event.get('name') == 'train'
    ]

  def test_exactly_the_steps_of_the_window_are_traced(self):
    self.assertEqual(self._run(3, 5, range(1, 8)), [3, 4, 5])
    self.assertRegex(
      self.stderr.getvalue(),
      r'(?s)^profile of steps 3 to 5: open \S+/profile/plugins/\S+ at '
      r'https://ui\.perfetto\.dev, or .*xprof --logdir=\S+/profile\n$',
    )

  def test_the_last_step_is_waited_for_before_the_trace_ends(self):
    events = []
    result = mock.Mock(block_until_ready=lambda: events.append('done'))
    window = ProfileWindow(self.workdir, 1, 2)
    self.addCleanup(window.close)
    for step in (1, 2):
      with (
        window.annotate(step),
        mock.patch('jax.profiler.stop_trace', lambda: events.append('stop')),
      ):
        window.started(step, result)
    jax.profiler.stop_trace()
    self.assertEqual(events, ['done', 'stop'])

  def test_a_run_that_goes_on_within_reach_is_traced(self):
    self.assertEqual(self._run(3, 3, range(3, 6), start_step=2), [3])

  def test_a_run_that_goes_on_too_late_says_so_and_traces_nothing(self):
    self.assertIsNone(self._run(3, 5, range(4, 9), start_step=3))
    self.assertEqual(
      self.stderr.getvalue(),
      'no profile of steps 3 to 5: the run goes on after step 3\n',
    )

  def test_a_run_that_ends_or_fails_in_the_window_leaves_its_trace(self):
    self.assertEqual(self._run(3, 9, range(1, 6), fails_at=4), [3, 4])

  def test_a_run_that_ends_before_the_window_says_so(self):
    self.assertIsNone(self._run(9, 10, range(1, 4)))
    self.assertEqual(
      self.stderr.getvalue(), 'no profile: the run ended before step 9\n'
    )

  def test_without_a_window_nothing_happens(self):
    self.assertIsNone(self._run(0, 0, range(1, 4)))
    self.assertEqual(self.stderr.getvalue(), '')

  def test_only_the_first_process_traces(self):
    with mock.patch('jax.process_index', return_value=1):
      self.assertIsNone(self._run(1, 2, range(1, 4)))
    self.assertEqual(self.stderr.getvalue(), '')
