"""What every architecture promises, computed on a tiny net of each family.

Depths of one family differ in numbers alone; one of each is computed.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.compression.folding import fold_batch_norm
from facejax.errors import DataError
from facejax.models import MODELS, get_model
from tests.models import small_deep, small_mobile, small_pooled
from tests.models.numpy_variables import numpy_variables

SMALL = {**small_mobile.SMALL, **small_deep.SMALL}
# What the default suite computes: nearly every kind of layer is in them.
FAMILIES = (
  'mobilefacenet',
  'shufflenet',
  'ir_se18',
  'lightcnn29_v2',
)
MORE_FAMILIES = (
  'mobilefacenet_m',
  'mobilefacenet_s',
  'mobilenet_v1',
  'mobilenet_v2',
  'mobilenet_v2_gdconv',
  'iresnet18',
  'alexnet',
  'mbf',
  'mbf_large',
  'vgg16',
  'sphereface10',
  'ir18',
  'lightcnn9',
  'lightcnn29',
  'resnet_mfm',
  'lenet5',
)
# Names of module A with a hash layer, of the nets that have one.
HASHED = '_hashed'
HASHED_FAMILIES = tuple(
  name + HASHED for name in ('mobilefacenet', 'sphereface10')
)
MORE_HASHED_FAMILIES = tuple(
  name + HASHED for name in ('vgg16', 'ir18', 'iresnet18', 'alexnet')
)
# The compiler's effort is of no use to nets this small.
_FAST = {'xla_backend_optimization_level': 0}


def images_of(model, count=3):
  shape = (count, *model.image_size, model.image_channels)
  return jax.random.normal(jax.random.key(1), shape)


def small_model(name):
  architecture = name.removesuffix(HASHED)
  forms = SMALL if name == architecture else small_pooled.SMALL_POOLED
  return get_model(architecture, **forms[architecture])


def outputs_of(model, variables, images):
  """Embeddings, and the logits of the hash layer behind them."""
  outputs = model.apply(variables, images, False, method='outputs')
  return jnp.concatenate(jax.tree.leaves(outputs), -1)


@functools.cache
def computed(name):
  """Variables, outputs of three forms of one net, and gradients."""
  model = small_model(name)
  images = images_of(model)
  variables = numpy_variables(model, images[:1], False, drawn=True, seed=2)
  folded = fold_batch_norm(variables)

  def loss(params):
    outputs, updates = model.apply(
      {**variables, 'params': params},
      images,
      True,
      mutable=['batch_stats'],
      rngs={'dropout': jax.random.key(2)},
      method='outputs',
    )
    return sum(jnp.sum(jnp.sin(x)) for x in jax.tree.leaves(outputs)), updates

  def compute(variables, folded, images):
    half = model.clone(dtype='bfloat16')
    gradient, updates = jax.grad(loss, has_aux=True)(variables['params'])
    return {
      'float32': outputs_of(model, variables, images),
      'folded': outputs_of(model.clone(folded=True), folded, images),
      'bfloat16': outputs_of(half, variables, images),
      'gradient': gradient,
      'updates': updates,
    }

  compiled = jax.jit(compute).lower(variables, folded, images)
  results = compiled.compile(compiler_options=_FAST)(variables, folded, images)
  return model, variables, folded, results


class Contract:
  """The promises, for a test case to check of a model by name."""

  def check_folding(self, name):
    model, _, folded, results = computed(name)
    shapes = jax.eval_shape(
      lambda: model.clone(folded=True).init(
        jax.random.key(0), images_of(model), False
      )
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(folded, dict(shapes))
    scale = float(jnp.abs(results['float32']).max())
    np.testing.assert_allclose(
      results['folded'], results['float32'], atol=1e-4 * max(scale, 1)
    )

  def check_bfloat16(self, name):
    model, variables, _, results = computed(name)
    shapes = jax.eval_shape(
      lambda: model.clone(dtype='bfloat16').apply(
        variables, images_of(model), False, method='outputs'
      )
    )
    self.assertEqual(shapes.embedding.dtype, jnp.bfloat16)
    if shapes.logits is not None:  # bits near zero would turn over
      self.assertEqual(shapes.logits.dtype, jnp.float32)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(variables)}
    self.assertEqual(dtypes, {jnp.dtype('float32')})
    exact = results['float32']
    half = results['bfloat16'].astype(jnp.float32)
    cosine = (exact * half).sum(1) / (
      jnp.linalg.norm(exact, axis=1) * jnp.linalg.norm(half, axis=1)
    )
    self.assertGreater(float(cosine.min()), 0.98)

  def check_learning(self, name):
    _, variables, _, results = computed(name)
    for weight, gradient in trees.named_leaves(results['gradient']).items():
      self.assertTrue(np.isfinite(gradient).all(), weight)
      self.assertGreater(float(jnp.abs(gradient).max()), 0, weight)
    for old, new in zip(
      jax.tree.leaves(variables.get('batch_stats', {})),
      jax.tree.leaves(results['updates']),
      strict=True,
    ):
      self.assertFalse(np.array_equal(old, new))
      self.assertEqual(new.dtype, jnp.float32)


class ContractTest(Contract, chex.TestCase):
  @parameterized.parameters(*FAMILIES, *HASHED_FAMILIES)
  def test_folding_keeps_the_embeddings_and_drops_the_statistics(self, name):
    self.check_folding(name)

  @parameterized.parameters(*FAMILIES, *HASHED_FAMILIES)
  def test_bfloat16_computes_with_float32_parameters(self, name):
    self.check_bfloat16(name)

  @parameterized.parameters(*FAMILIES, *HASHED_FAMILIES)
  def test_every_weight_learns_and_every_statistic_moves(self, name):
    self.check_learning(name)


@pytest.mark.slow
class MoreContractTest(Contract, chex.TestCase):
  @parameterized.parameters(*MORE_FAMILIES, *MORE_HASHED_FAMILIES)
  def test_the_other_families_keep_the_contract(self, name):
    self.check_folding(name)
    self.check_bfloat16(name)
    self.check_learning(name)


class InputTest(chex.TestCase):
  def test_every_model_has_a_tiny_form(self):
    self.assertEqual(set(SMALL), set(MODELS))

  @parameterized.parameters(*FAMILIES)
  def test_images_of_another_size_are_refused(self, name):
    model = get_model(name, **SMALL[name])
    height, width = model.image_size
    for shape in (
      (1, height, width + 1, model.image_channels),
      (1, height, width, 4),
    ):
      with self.assertRaisesRegex(DataError, 'the model takes images of'):
        jax.eval_shape(
          lambda shape=shape: model.init(
            jax.random.key(0), jnp.zeros(shape), False
          )
        )


@pytest.mark.slow
class WholeNetsTest(chex.TestCase):
  """The published shapes, with eval_shape alone."""

  @parameterized.parameters(*sorted(MODELS))
  def test_it_embeds_at_its_own_size(self, name):
    model = get_model(name)
    embeddings = jax.eval_shape(
      lambda: model.init_with_output(
        jax.random.key(0), images_of(model, 2), False
      )[0]
    )
    self.assertEqual(embeddings.shape[0], 2)
    self.assertEqual(embeddings.ndim, 2)
