"""The same MobileFaceNet in PyTorch, the peer of the benchmarks."""

from collections.abc import Callable

from facejax.models.mobilefacenet import STAGES, STEM_FEATURES, scale_width


def _make_net(torch, width: float, image_size: int):
  """The net of Table 1, channels last."""
  nn = torch.nn

  def layer(
    inputs, outputs, size=1, strides=1, groups=1, padding=0, linear=False
  ):
    modules = [
      nn.Conv2d(
        inputs, outputs, size, strides, padding, groups=groups, bias=False
      ),
      nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*modules, *([] if linear else [nn.PReLU(outputs)]))

  class Bottleneck(nn.Module):
    """Expand, depthwise, project; added to the input where it fits."""

    def __init__(self, inputs, outputs, expansion, strides):
      super().__init__()
      hidden = inputs * expansion
      self.body = nn.Sequential(
        layer(inputs, hidden),
        layer(hidden, hidden, 3, strides, groups=hidden, padding=1),
        layer(hidden, outputs, linear=True),
      )
      self.residual = strides == 1 and inputs == outputs

    def forward(self, x):
      return x + self.body(x) if self.residual else self.body(x)

  channels = scale_width(STEM_FEATURES, width)
  layers = [
    layer(3, channels, 3, 2, padding=1),
    layer(channels, channels, 3, groups=channels, padding=1),
  ]
  for expansion, features, blocks, strides in STAGES:
    for block in range(blocks):
      outputs = scale_width(features, width)
      layers.append(
        Bottleneck(channels, outputs, expansion, strides if block == 0 else 1)
      )
      channels = outputs
  last, final_map = scale_width(512, width), -(-image_size // 16)
  layers += [
    layer(channels, last),
    layer(last, last, final_map, groups=last, linear=True),
    layer(last, 128, linear=True),
    nn.Flatten(),
  ]
  return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def training_rate(
  rate: Callable[..., float],
  *,
  width: float,
  image_size: int,
  batch_size: int,
  num_identities: int,
) -> float | None:
  """PyTorch's images per second, or None where it is not installed.

  Args:
    rate: times a step, a function without arguments.
    width: of the net.
    image_size: height and width of the input.
    batch_size: images in a step.
    num_identities: K of the classifier.
  """
  try:
    import torch
  except ImportError:
    return None
  net = _make_net(torch, width, image_size)
  weights = torch.nn.Parameter(torch.randn(num_identities, 128))
  optimizer = torch.optim.SGD(
    [*net.parameters(), weights], lr=0.1, momentum=0.9, weight_decay=4e-5
  )
  images = torch.randn(batch_size, 3, image_size, image_size)
  images = images.to(memory_format=torch.channels_last)
  labels = torch.randint(0, num_identities, (batch_size,))
  functional = torch.nn.functional

  def step():
    optimizer.zero_grad()
    embeddings = functional.normalize(net(images))
    cosines = embeddings @ functional.normalize(weights).T
    functional.cross_entropy(30 * cosines, labels).backward()
    optimizer.step()

  return rate(step)
