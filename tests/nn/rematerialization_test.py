"""Activations computed twice: the same results, with blocks of every family."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.models import get_model
from facejax.nn.rematerialization import rematerialize
from tests.models.contract_test import FAMILIES, SMALL


class RematerializationTest(chex.TestCase):
  @parameterized.parameters(*FAMILIES)
  def test_every_model_gives_the_same_variables(self, name):
    model = get_model(name, conv_path='convolution', **SMALL[name])
    size = (2, *model.image_size, model.image_channels)
    images = jax.ShapeDtypeStruct(size, np.float32)
    variables = jax.eval_shape(
      lambda images: model.init(jax.random.key(0), images, False), images
    )

    def apply(variables, images):
      return model.apply(
        variables,
        images,
        True,
        mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(0)},
      )

    expected = jax.eval_shape(apply, variables, images)
    chex.assert_trees_all_equal_shapes_and_dtypes(
      jax.eval_shape(rematerialize(apply), variables, images), expected
    )
    text = str(jax.make_jaxpr(rematerialize(apply))(variables, images))
    self.assertGreater(text.count('remat'), 3)

  def test_values_gradients_and_statistics_are_the_same(self):
    model = get_model('mobilefacenet', **SMALL['mobilefacenet'])
    images = jax.random.normal(jax.random.key(1), (2, *model.image_size, 3))
    variables = jax.jit(model.init, static_argnums=2)(
      jax.random.key(0), images, False
    )

    def apply(params, images):
      embeddings, mutated = model.apply(
        {**variables, 'params': params}, images, True, mutable=['batch_stats']
      )
      return (embeddings**2).sum(), mutated

    expected, got = (
      jax.jit(jax.value_and_grad(f, has_aux=True))(variables['params'], images)
      for f in (apply, rematerialize(apply))
    )
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(expected))
    chex.assert_trees_all_close(got, expected, atol=1e-5 * scale)
