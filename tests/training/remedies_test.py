"""On a machine made of numbers: what is proposed has been measured."""

import chex
from absl.testing import parameterized

from facejax.training import remedies
from tests.training.dry_run_case import make_config, result_of

GIB = 2**30


class RemediesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.measured = []

  def _refusal(self, config, parts, usable, **whole):
    def measure(changed, factor):
      shrunk = dict(parts)
      shrunk['head'] = parts['head'] // factor
      share = changed.data.batch_size / 64 / changed.micro_batches / factor
      kept = 0.5 if changed.remat else 1
      shrunk['activations'] = int(parts['activations'] * share * kept)
      shrunk['head_workspace'] = int(
        parts['head_workspace'] * share * changed.head.sample_rate
      )
      self.measured.append((changed, factor))
      return result_of(shrunk, usable, 4 * factor)

    return remedies.refusal(config, result_of(parts, usable, **whole), measure)

  def test_activations_are_cured_by_less_at_once(self):
    config = make_config(data__batch_size=64)
    parts = {'head': 10, 'activations': 160, 'head_workspace': 8}
    line = self._refusal(config, parts, 100)
    self.assertIn('most is activations', line)
    for words in (
      '--config.remat=True',
      '--config.micro_batches=2',
      '--config.data.batch_size=32',
      '--devices=8',
    ):
      self.assertIn(words, line)
    self.assertNotIn('sample_rate', line)
    self.assertNotIn('\n', line)
    self.assertEqual(config.data.batch_size, 64)
    self.assertFalse(config.remat)

  def test_a_large_head_is_cured_by_sampling(self):
    config = make_config(data__batch_size=64)
    parts = {'head': 50, 'activations': 4, 'head_workspace': 2000}
    line = self._refusal(config, parts, 100)
    self.assertIn('--config.head.sample_rate=0.01 ', line)
    self.assertNotIn('remat', line)
    # A rate of 0.1 was measured, and still is too much.
    rates = {changed.head.sample_rate for changed, _ in self.measured}
    self.assertEqual(rates & {0.1, 0.01}, {0.1, 0.01})

  def test_a_described_mesh_grows_along_data(self):
    config = make_config(data__batch_size=64, mesh__data=4)
    line = self._refusal(
      config, {'head': 90, 'activations': 20, 'head_workspace': 0}, 100
    )
    self.assertIn('--devices=8 --config.mesh.data=8', line)
    changed = [c for c, factor in self.measured if factor == 2]
    self.assertEqual(changed[0].mesh.data, 8)

  def test_together_they_may_do_what_none_does_alone(self):
    config = make_config(data__batch_size=64)
    parts = {'parameters': 40, 'activations': 500, 'head_workspace': 500}
    line = self._refusal(config, parts | {'head': 0}, 100)
    self.assertRegex(
      line,
      r'what fits: --config.remat=True --config.head.sample_rate=0.1 '
      r'--config.data.batch_size=8 ',
    )

  def test_class_weights_that_cannot_fit_say_how_many_devices_can_hold_them(
    self,
  ):
    config = make_config(data__batch_size=64)
    parts = {'parameters': 20, 'head': 1000, 'head_optimizer': 1000}
    parts |= {'activations': 5, 'head_workspace': 5}
    line = self._refusal(config, parts, 100)
    # 4 devices hold 2000 each, and 80 is left on one.
    self.assertIn('alone need 100', line)
    self.assertEqual(self.measured, [])

  def test_a_net_that_fits_nowhere_is_told_so(self):
    line = self._refusal(
      make_config(data__batch_size=64),
      {'parameters': 200, 'head': 1, 'activations': 0, 'head_workspace': 0},
      100,
    )
    self.assertIn('no number of devices would do', line)

  @parameterized.parameters(
    (2**20, '1 MiB'),
    (51.2 * GIB, '51.2 GiB'),
    (0.25 * GIB, '0.25 GiB'),
    (1200 * GIB, '1200 GiB'),
    (52, '52 bytes'),
  )
  def test_sizes_in_words(self, size, words):
    self.assertEqual(remedies.size_text(size), words)
