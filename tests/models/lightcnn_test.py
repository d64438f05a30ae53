"""What distinguishes the versions of Light CNN."""

import chex
import jax
import jax.numpy as jnp

from facejax.errors import DataError, UsageError
from facejax.models import get_model
from facejax.models.counts import count_model
from facejax.models.tracing import trace_model
from tests.models.small_deep import SMALL


class LightCNNTest(chex.TestCase):
  def test_the_second_version_embeds_without_mfm(self):
    sizes = {
      name: trace_model(get_model(name)).layers[-1].params['kernel']
      for name in ('lightcnn9', 'lightcnn29', 'lightcnn29_v2')
    }
    self.assertEqual(
      sizes,
      {
        'lightcnn9': (8, 8, 128, 512),
        'lightcnn29': (8, 8, 128, 512),
        'lightcnn29_v2': (8, 8, 128, 256),
      },
    )

  def test_odd_maps_are_rounded_up_by_the_first_version_alone(self):
    for version, side in ((1, 3), (2, 2)):
      model = get_model('lightcnn9', image_size=(40, 40), width=0.125)
      layers = trace_model(model.clone(version=version)).layers
      self.assertEqual(layers[-1].params['kernel'][:2], (side, side))

  def test_an_unknown_version_is_refused(self):
    with self.assertRaisesRegex(UsageError, 'version 3: use 1 or 2'):
      count_model(get_model('lightcnn9', version=3))

  def test_color_is_refused_unless_the_net_takes_it(self):
    fields = SMALL['lightcnn9']
    images = jnp.zeros((1, 16, 16, 3))

    def embed(model):
      return jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), images, False)[0]
      )

    with self.assertRaisesRegex(DataError, r'takes images of \(16, 16, 1\)'):
      embed(get_model('lightcnn9', **fields))
    model = get_model('lightcnn9', image_channels=3, **fields)
    self.assertEqual(embed(model).shape, (1, 16))
