"""PyTorch's training step on the same MobileFaceNet and loss."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks import torch_mobilefacenet as peer
from benchmarks.facejax_training import LEARNING_RATE, MARGIN, SCALE, TrainInput
from benchmarks.settings import Settings


def _margin_loss(
  embeddings: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
  """ArcFace's cross-entropy, in float32 whatever the net is in."""
  embeddings = functional.normalize(embeddings.float())
  cosines = embeddings @ functional.normalize(weights).T
  target = cosines.gather(1, labels[:, None]).clamp(-1, 1)
  margin = torch.tensor(MARGIN)
  sines = (1 - target**2).clamp_min(1e-6).sqrt()
  shifted = target * margin.cos() - sines * margin.sin()
  beyond = target - margin * margin.sin()
  phi = torch.where(target > -margin.cos(), shifted, beyond)
  logits = cosines.scatter(1, labels[:, None], phi)
  return functional.cross_entropy(SCALE * logits, labels)


def _make_optimizer(
  net: torch.nn.Module, class_weights: torch.nn.Parameter
) -> torch.optim.Optimizer:
  """SGD with momentum; kernels alone decay, as ours do."""
  kernels = [p for p in net.parameters() if p.ndim == 4]
  others = [p for p in net.parameters() if p.ndim != 4]
  return torch.optim.SGD(
    [
      {'params': kernels, 'weight_decay': 4e-5},
      {'params': [*others, class_weights]},
    ],
    lr=LEARNING_RATE,
    momentum=0.9,
    fused=True,
  )


def make_step(
  settings: Settings, inputs: TrainInput, *, compiled: bool
) -> Callable[[], float]:
  """A training step: forward, backward, SGD with momentum and decay.

  Args:
    settings: of the net, device, precision and number of threads.
    inputs: weights and batch to begin with.
    compiled: whether net and loss go through `torch.compile`.

  Returns:
    A function that does a step and returns the loss before it.

  Raises:
    UnavailableError: it cannot be compiled here.
  """
  torch.set_num_threads(settings.threads)
  device = peer.device(settings)
  net = peer.make_net(settings, folded=False).train()
  peer.load_variables(settings, net, inputs.variables, folded=False)
  weights = torch.nn.Parameter(
    torch.tensor(inputs.class_weights, device=device)
  )
  optimizer = _make_optimizer(net, weights)
  pixels = peer.to_tensor(inputs.images, settings)
  labels = torch.tensor(inputs.labels, device=device, dtype=torch.long)

  def loss_of(pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with peer.autocast(settings):
      embeddings = net((pixels.float() - 127.5) / 128)
    return _margin_loss(embeddings, labels, weights)

  if compiled:
    peer.check_compiler()
    loss_of = torch.compile(loss_of, dynamic=False)

  def step() -> float:
    optimizer.zero_grad()
    loss = loss_of(pixels, labels)
    loss.backward()
    optimizer.step()
    peer.synchronize(settings)
    return np.float32(loss.item()).item()

  return step
