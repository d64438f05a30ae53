import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from facejax.training.goodput import Goodput, is_timing, progress_text


class Result:
  """A result of a step that is there already, or not yet."""

  def __init__(self, ready):
    self.ready = ready

  def is_ready(self):
    return self.ready

  def block_until_ready(self):
    return self


class GoodputTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.now = 0
    self.goodput = Goodput(clock=lambda: self.now)

  def _spend(self, account, seconds):
    with self.goodput.spend(account):
      self.now += seconds

  def _step(self, *, data, device=0, images=10):
    """An iteration: the next batch, then the rest of the step in flight."""
    self._spend('data', data)
    self.goodput.wait({'loss': Result(ready=device == 0)})
    self.now += device
    self.goodput.step_done(images)

  def _seconds(self):
    return {
      name.removeprefix('seconds/'): value
      for name, value in self.goodput.metrics().items()
      if name.startswith('seconds/')
    }

  def assert_spent(self, **expected):
    accounts = {'start': 0, 'data': 0, 'checkpoint': 0, 'evaluation': 0}
    self.assertEqual(self._seconds(), accounts | expected)

  def test_a_run_that_has_not_begun_has_spent_nothing(self):
    self.assertEqual(
      self.goodput.metrics(),
      {
        'images_per_second': 0.0,
        'goodput': 0.0,
        'seconds/start': 0.0,
        'seconds/data': 0.0,
        'seconds/checkpoint': 0.0,
        'seconds/evaluation': 0.0,
      },
    )

  def test_all_before_the_first_step_is_done_is_the_start(self):
    self._spend('evaluation', 5)
    self.now += 20
    self.assert_spent(start=25)
    self._step(data=3, device=2)
    self.assert_spent(start=30)
    self.assertEqual(self.goodput.metrics()['goodput'], 0.0)
    self.assertEqual(self.goodput.rate(), 0.0)

  def test_hand_computed_run(self):
    self._step(data=0, device=10)  # the start
    self._step(data=1, device=3)  # 4 seconds on the device
    self._step(data=3, device=1)
    self._step(data=9)  # 5 of them lost
    self._spend('evaluation', 40)
    self._spend('checkpoint', 2)
    self._step(data=6, device=4)  # nothing in flight: all lost
    self.assert_spent(start=10, data=11, checkpoint=2, evaluation=40)
    metrics = self.goodput.metrics()
    wall = 10 + 4 + 4 + 9 + 42 + 10
    self.assertEqual(metrics['goodput'], 16 / wall)
    # Waiting counts for the speed, pauses and the start do not.
    self.assertEqual(metrics['images_per_second'], 40 / 27)

  def test_waiting_while_the_device_works_is_not_lost(self):
    for _ in range(3):
      self._step(data=4, device=1)
    self.assert_spent(start=5)
    self.assertEqual(self.goodput.metrics()['goodput'], 10 / 15)

  def test_of_a_longer_wait_only_what_exceeds_a_step_is_lost(self):
    for _ in range(4):
      self._step(data=0, device=4)
    self._step(data=4)
    self.assert_spent(start=4)
    self._step(data=7)
    self.assert_spent(start=4, data=3)

  def test_one_slow_step_does_not_change_what_a_step_takes(self):
    self._step(data=0, device=1)
    for device in (4, 4, 100):
      self._step(data=0, device=device)
    self._step(data=10)
    self.assert_spent(start=1, data=6)

  def test_a_step_with_a_pause_within_does_not_tell_what_a_step_takes(self):
    self._step(data=0, device=1)
    self._spend('checkpoint', 9)  # while a step is in flight
    self._step(data=0, device=1)
    self._step(data=8)
    self.assert_spent(start=1, checkpoint=9, data=8)

  def test_all_waiting_is_lost_while_nothing_else_is_known(self):
    self._step(data=0, device=1)
    self._spend('data', 3)
    self.now += 1
    self.goodput.step_done(10)
    self.assert_spent(start=1, data=3)

  def test_two_fetches_after_a_pause_of_which_the_second_is_in_flight(self):
    for _ in range(3):
      self._step(data=0, device=4)
    self._spend('evaluation', 1)
    self._spend('data', 2)
    self._step(data=3, device=1)
    self.assert_spent(start=4, evaluation=1, data=2)

  def test_nested_time_belongs_to_the_innermost(self):
    self._step(data=0, device=1)
    with self.goodput.spend('checkpoint'):
      self.now += 1
      with self.goodput.spend('evaluation'):
        self.now += 10
        self._spend('data', 100)
        self._spend('checkpoint', 1000)
      self.now += 1
    self.goodput.step_done(0)
    self.assert_spent(start=1, checkpoint=1002, evaluation=10, data=100)

  def test_data_of_an_evaluation_is_fetched_with_nothing_in_flight(self):
    for _ in range(3):
      self._step(data=0, device=4)
    with self.goodput.spend('evaluation'):
      for _ in range(2):
        self._spend('data', 3)
    self._step(data=0, device=4)
    self.assert_spent(start=4, data=6)

  def test_time_is_booked_when_the_block_fails(self):
    self._step(data=0, device=1)
    with self.assertRaises(KeyError), self.goodput.spend('evaluation'):
      self.now += 5
      raise KeyError
    self.now += 1
    self.assert_spent(start=1, evaluation=5)

  def test_accounts_of_other_names_are_listed_too(self):
    self._step(data=0, device=1)
    self._spend('compile', 7)
    self.assert_spent(start=1, compile=7)

  def test_wait_returns_when_the_arrays_are_there(self):
    metrics = jax.jit(lambda x: {'loss': x @ x})(jnp.ones((300, 300)))
    self.goodput.wait(metrics)
    self.assertTrue(metrics['loss'].is_ready())

  def test_accounts_and_steps_add_up_to_the_wall_time(self):
    for turn in range(300):
      self._step(data=turn % 7, device=turn % 3)
      if turn % 11 == 0:
        self._spend('evaluation', 13)
    metrics = self.goodput.metrics()
    steps = metrics['goodput'] * self.now
    self.assertAlmostEqual(sum(self._seconds().values()) + steps, self.now)
    self.assertBetween(metrics['goodput'], 0.1, 0.9)

  def test_the_recent_rate_forgets_and_the_whole_one_does_not(self):
    self._step(data=0, device=1)
    for _ in range(100):
      self._step(data=0, device=2)
    self.assertEqual(self.goodput.rate(), 5.0)
    for _ in range(100):
      self._step(data=0, device=1)
    self.assertEqual(self.goodput.rate(), 10.0)
    self.assertEqual(self.goodput.rate(recent=False), 2000 / 300)


class TimingTest(chex.TestCase):
  def test_all_that_goodput_measures_is_a_timing(self):
    goodput = Goodput()
    with goodput.spend('anything'):
      pass
    self.assertTrue(all(is_timing(name) for name in goodput.metrics()))

  @parameterized.parameters(
    'loss', 'accuracy', 'evaluation/lfw/accuracy', 'seconds', 'gradient_norm'
  )
  def test_what_a_step_computes_is_none(self, name):
    self.assertFalse(is_timing(name))


class ProgressTextTest(chex.TestCase):
  @parameterized.parameters(
    ({'loss': 3.21449, 'accuracy': 0.5}, 'loss 3.214'),
    (
      {'loss': 3.0, 'images_per_second': 811.6, 'goodput': 0.97},
      'loss 3.000, 812 images/s',
    ),
    (
      {
        'loss': 3.0,
        'images_per_second': 8.0,
        'goodput': 0.8,
        'seconds/start': 3.0,
        'seconds/checkpoint': 12.4,
      },
      'loss 3.000, 8 images/s, goodput 80% (checkpoint 12 s)',
    ),
    ({}, ''),
  )
  def test_what_took_the_time_is_named_where_much_is_lost(self, values, text):
    self.assertEqual(progress_text(values), text)
