"""The same MobileFaceNet in PyTorch, the peer of the benchmarks.

Channels last; bfloat16 is autocast.
"""

import math
import os
import shutil
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.facejax_mobilefacenet import (
  EMBEDDING_SIZE,
  layer_names,
  stages_of,
)
from benchmarks.reporting import UnavailableError
from benchmarks.settings import Settings
from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression.folding import fold_batch_norm
from facejax.models.mobilefacenet import STEM_FEATURES
from facejax.models.stages import scale_width


class ConvNorm(nn.Sequential):
  """A convolution, BatchNorm unless it is folded, PReLU unless linear."""

  def __init__(
    self, inputs, outputs, size=1, strides=1, groups=1, padding=0, *, folded,
    linear=False,
  ):  # fmt: skip
    """Takes the arguments of `nn.Conv2d`."""
    super().__init__()
    self.conv = nn.Conv2d(
      inputs, outputs, size, strides, padding, groups=groups, bias=folded
    )
    if not folded:
      self.norm = nn.BatchNorm2d(outputs)
    if not linear:
      self.activation = nn.PReLU(outputs)


class Bottleneck(nn.Module):
  """Expand, depthwise, project; added to the input where it fits."""

  def __init__(self, inputs, outputs, expansion, strides, folded):
    """Takes the row of Table 1."""
    super().__init__()
    hidden = inputs * expansion
    self.body = nn.Sequential(
      ConvNorm(inputs, hidden, folded=folded),
      ConvNorm(hidden, hidden, 3, strides, hidden, 1, folded=folded),
      ConvNorm(hidden, outputs, folded=folded, linear=True),
    )
    self.residual = strides == 1 and inputs == outputs

  def forward(self, x):
    """One block."""
    return x + self.body(x) if self.residual else self.body(x)


def make_net(settings: Settings, *, folded: bool) -> nn.Module:
  """The net of Table 1, images [B, 3, H, W] to embeddings [B, D]."""
  channels = scale_width(STEM_FEATURES, settings.width)
  layers = [
    ConvNorm(3, channels, 3, 2, padding=1, folded=folded),
    ConvNorm(channels, channels, 3, 1, channels, 1, folded=folded),
  ]
  for expansion, features, blocks, strides in stages_of(settings):
    for block in range(blocks):
      outputs = scale_width(features, settings.width)
      layers.append(
        Bottleneck(
          channels, outputs, expansion, strides if block == 0 else 1, folded
        )
      )
      channels = outputs
  last = scale_width(512, settings.width)
  strides = [2, *(row[3] for row in stages_of(settings))]
  final_map = -(-settings.image_size // math.prod(strides))
  layers += [
    ConvNorm(channels, last, folded=folded),
    ConvNorm(last, last, final_map, 1, last, folded=folded, linear=True),
    ConvNorm(last, EMBEDDING_SIZE, folded=folded, linear=True),
    nn.Flatten(),
  ]
  net = nn.Sequential(*layers).to(device(settings))
  return net.to(memory_format=torch.channels_last)


def device(settings: Settings) -> str:
  """What PyTorch calls the device of the settings.

  Raises:
    UnavailableError: it is a GPU, and this PyTorch sees none.
  """
  if settings.device == 'gpu' and not torch.cuda.is_available():
    raise UnavailableError('PyTorch sees no GPU')
  return 'cuda' if settings.device == 'gpu' else 'cpu'


def load_variables(
  settings: Settings, net: nn.Module, variables: PyTree, *, folded: bool
) -> None:
  """Gives the net the weights of ours, `variables` before folding."""
  if folded:
    variables = fold_batch_norm(variables)
  leaves = trees.named_leaves(variables['params'])
  leaves |= trees.named_leaves(variables.get('batch_stats', {}))
  names = {
    'conv/bias': 'conv.bias',
    'norm/scale': 'norm.weight',
    'norm/bias': 'norm.bias',
    'norm/mean': 'norm.running_mean',
    'norm/var': 'norm.running_var',
    'activation/slope': 'activation.weight',
  }
  modules = [m for m in net.modules() if isinstance(m, ConvNorm)]
  for layer, module in zip(layer_names(settings), modules, strict=True):
    kernel = np.asarray(leaves[f'{layer}/conv/kernel'])
    state = {'conv.weight': kernel.transpose(3, 2, 0, 1)}
    for ours, theirs in names.items():
      if f'{layer}/{ours}' in leaves:
        state[theirs] = np.asarray(leaves[f'{layer}/{ours}'])
    state = {name: torch.tensor(array) for name, array in state.items()}
    if not folded:
      state['norm.num_batches_tracked'] = torch.tensor(0)
    module.load_state_dict(state)


def to_tensor(images: np.ndarray, settings: Settings) -> torch.Tensor:
  """NHWC pixels as a tensor [B, 3, H, W] whose channels are last in memory."""
  return torch.tensor(images, device=device(settings)).permute(0, 3, 1, 2)


def synchronize(settings: Settings) -> None:
  """Waits for the device."""
  if settings.device == 'gpu':
    torch.cuda.synchronize()


def autocast(settings: Settings) -> torch.autocast:
  """The precision of the settings, as PyTorch does it."""
  return torch.autocast(
    device(settings),
    dtype=torch.bfloat16,
    enabled=settings.precision == 'bfloat16',
  )


def check_compiler() -> None:
  """Raises UnavailableError where `torch.compile` finds no C++ compiler."""
  known = (os.environ.get('CXX'), 'g++', 'clang++', 'c++')
  if not any(name and shutil.which(name) for name in known):
    raise UnavailableError('no C++ compiler for torch.compile')


def make_forward(
  settings: Settings,
  variables: PyTree,
  images: np.ndarray,
  *,
  compiled: bool,
) -> Callable[[], torch.Tensor]:
  """A forward pass without BatchNorm, as a deployed net runs.

  Args:
    settings: of the net, device, precision and number of threads.
    variables: of `MobileFaceNet`, not folded.
    images: float32 [B, H, W, 3].
    compiled: by `torch.compile`, its weights frozen.

  Returns:
    A function that returns the embeddings [B, D] once they are there.

  Raises:
    UnavailableError: it cannot be compiled here.
  """
  torch.set_num_threads(settings.threads)
  net = make_net(settings, folded=True).eval()
  load_variables(settings, net, variables, folded=True)
  inputs = to_tensor(images, settings)
  if compiled:
    check_compiler()
    net = torch.compile(net, dynamic=False, options={'freezing': True})

  @torch.inference_mode()
  def forward() -> torch.Tensor:
    with autocast(settings):
      embeddings = net(inputs)
    synchronize(settings)
    return embeddings

  return forward
