"""Trading computation for memory: activations computed twice, not kept."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn


class _Interceptor:
  """Runs the direct children of the net under `nn.remat`, each once."""

  def __init__(self):
    self._inside = False

  def __call__(
    self,
    next_function: Callable[..., Any],
    args: Any,
    kwargs: Any,
    context: nn.module.InterceptorContext,
  ) -> Any:
    """Calls the method, or the block whose method it is."""
    is_block = len(context.module.path) == 1
    if self._inside or not is_block or context.method_name != '__call__':
      return next_function(*args, **kwargs)
    inputs, *settings = args

    def run(block: nn.Module, inputs: Any) -> Any:
      self._inside = True
      try:
        return block(inputs, *settings, **kwargs)
      finally:
        self._inside = False

    return nn.remat(run)(context.module, inputs)


def rematerialize(apply: Callable[..., Any]) -> Callable[..., Any]:
  """The same function, which keeps for its gradient only what blocks take.

  Blocks are the direct children of the net. What happens within them is
  computed again in the backward pass: a third more work, for a fraction of the
  memory.

  Args:
    apply: calls one linen module.

  References:
    Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016,
    https://arxiv.org/abs/1604.06174.
  """

  def rematerialized(*args: Any) -> Any:
    with nn.intercept_methods(_Interceptor()):
      return apply(*args)

  return rematerialized
