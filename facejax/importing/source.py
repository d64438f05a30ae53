"""A net of another system as a list of layers, whatever file it came from.

Every reader of this package ends here, and the matching begins here: nothing
past this module knows of state dicts, symbols or protocol buffers.
"""

import dataclasses

import numpy as np

KINDS = ('conv', 'norm', 'slope')


@dataclasses.dataclass(frozen=True)
class SourceLayer:
  """One layer with weights, float32 in PyTorch's layout.

  Attributes:
    name: of the layer in its file, 'blocks.0.conv.3'.
    kind: one of `KINDS`; a dense layer is a 'conv'.
    arrays: by our names. A conv has 'kernel' [O, I / groups, kh, kw], or
      [O, I] if dense, and maybe 'bias' [O]; a norm 'scale', 'bias', 'mean',
      'var', each [C]; a slope (PReLU) 'slope' [C], or [1] for one of all
      channels.
    epsilon: of a norm, added to its variance; None where the file does not
      say, as in a state dict.
    groups: of a conv; None where the file does not say.
    strides: of a conv, vertical and horizontal; None where the file does not
      say.
  """

  name: str
  kind: str
  arrays: dict[str, np.ndarray]
  epsilon: float | None = None
  groups: int | None = None
  strides: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class SourceNet:
  """The layers of one file.

  Attributes:
    where: what to call the file in errors.
    layers: in the order of computation if `is_graph`, else in the order in
      which the file lists them.
    is_graph: whether the file says how the layers are connected.
    activations: those without weights that a graph applies, of 'relu' and
      'relu6'; empty for state dicts, which do not say.
    image_size: (height, width) of the input if the file says, pixels.
    image_channels: of the input if the file says.
    mean: that the graph itself subtracts from pixels; None if it does not.
    scale: that the graph itself divides by afterwards; None if it does not.
    ignored: names of arrays that belong to no layer, such as counters.
  """

  where: str
  layers: tuple[SourceLayer, ...]
  is_graph: bool
  activations: frozenset[str] = frozenset()
  image_size: tuple[int, int] | None = None
  image_channels: int | None = None
  mean: float | None = None
  scale: float | None = None
  ignored: tuple[str, ...] = ()
