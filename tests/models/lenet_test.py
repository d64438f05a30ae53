import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.models import get_model
from tests.models.numpy_variables import numpy_variables
from tests.models.small_deep import SMALL


def _pool(x):
  return x.reshape(x.shape[0], x.shape[1] // 2, 2, -1, 2, x.shape[3]).max(
    (2, 4)
  )


def _convolve(x, params):
  kernel, bias = (np.asarray(params[k]) for k in ('kernel', 'bias'))
  kh, kw = kernel.shape[:2]
  views = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), (1, 2))
  return np.einsum('bhwcij,ijco->bhwo', views, kernel) + bias


class LeNet5Test(chex.TestCase):
  def test_it_agrees_with_loops_over_windows(self):
    model = get_model('lenet5', **SMALL['lenet5'])
    x = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    variables = numpy_variables(model, jnp.asarray(x), False, drawn=True)
    y = jax.jit(model.apply, static_argnums=2)(variables, jnp.asarray(x), False)
    params = variables['params']
    for name in ('conv1', 'conv2'):
      x = _convolve(x, params[name])
      # The second map is 2 x 2: even, as the first.
      x = _pool(x)
    expected = np.maximum(_convolve(x, params['fc1']), 0)[:, 0, 0]
    self.assertGreater((expected > 0).mean(), 0.1)
    np.testing.assert_allclose(y, expected, atol=1e-4)
