"""Bytes of nets that hash, with and without classifier, float and packed.

Three ledgers (spec 4.4): float with the classifier, which is what the papers
count; float without it, which is all that recognition needs; and packed with
every kernel ternary at 2 bits and a scale a filter, depthwise kernels float,
the hash layer among them. Beside these stands the variant of the paper, of
which the classifier alone is ternary, with one scale.

All of them are ledgers of the shapes of weights, running statistics left out:
nothing is computed or allocated.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from facejax import files, trees
from facejax.array_typing import PyTree
from facejax.compression import packed, ternary
from facejax.compression.ledger import Ledger, make_ledger
from facejax.errors import UsageError
from facejax.losses.hash_objective import HashObjective
from facejax.models import get_model
from facejax.models.pooled import PooledFaceNet
from facejax.models.published import agrees
from facejax.training.hash_designs import FORMS, Design
from facejax.training.state import HEAD, join_head

_CLASSIFIER = f'{HEAD}/class_weights'
LEDGERS = (
  'with_classifier',
  'without_classifier',
  'packed',
  'packed_with_classifier',
  'ternary_classifier',
)


def parameter_shapes(design: Design) -> tuple[PyTree, PyTree]:
  """Shapes of the parameters of a net, and of those of its classifier.

  Raises:
    UsageError: a net that cannot be.
  """
  form = FORMS[design.form]
  if form.pooled and not isinstance(get_model(design.model), PooledFaceNet):
    raise UsageError(
      f'{design.model} has no pooled features: use the form usual or module_b'
    )
  fields = dict(design.fields) | ({'pooled': True} if form.pooled else {})
  bits = 0 if design.extra_width else design.hash_bits
  model = get_model(
    design.model, conv_path='convolution', hash_bits=bits, **fields
  )
  images = jax.ShapeDtypeStruct(
    (1, *model.image_size, model.image_channels), jnp.float32
  )
  outputs, variables = jax.eval_shape(
    lambda images: model.init_with_output(
      jax.random.key(0), images, False, method='outputs'
    ),
    images,
  )
  net, size = variables['params'], outputs.embedding.shape[-1]
  if design.extra_width:
    net |= _extra_layers(size // 2, design.extra_width, design.hash_bits)
    size = 2 * design.extra_width
  if form.classifier is not None:
    hashing = HashObjective(classifier=form.classifier)
    size = hashing.classifier_size(size, design.hash_bits)
  head = {'class_weights': _array(design.identities, size)}
  return net, head | (
    {'bias': _array(design.identities)} if design.biased else {}
  )


def _array(*shape: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def _extra_layers(channels: int, width: int, bits: int) -> PyTree:
  """A convolution behind conv 2, and the hash layer on what is pooled of it."""
  return {
    'extra': {'kernel': _array(3, 3, channels, width), 'bias': _array(width)},
    'extra_activation': {'slope': _array(width)},
    'hash': {'kernel': _array(1, 1, 2 * width, bits), 'bias': _array(bits)},
  }


def make_ledgers(net: PyTree, head: PyTree) -> dict[str, Ledger]:
  """The ledgers of a net and its classifier by name, see `LEDGERS`.

  Args:
    net: float parameters, or their shapes.
    head: those of the classifier.
  """
  whole = join_head(net, head)
  kernels = ternary.default_rules(net)

  def pack(tree: PyTree, *rules: tuple[str, str]) -> PyTree:
    return jax.eval_shape(lambda tree: packed.pack_tree(tree, rules), tree)

  variants = (
    whole,
    net,
    pack(net, *kernels),
    pack(whole, *kernels, (_CLASSIFIER, 'filter')),
    pack(whole, (_CLASSIFIER, 'tensor')),
  )
  return {
    name: make_ledger(tree)
    for name, tree in zip(LEDGERS, variants, strict=True)
  }


def measure(design: Design) -> dict[str, Any]:
  """The sizes of a net as JSON values.

  Returns:
    `bytes` by ledger; `ternary_classifier_saves`, the share of all bytes that
    a classifier at 2 bits saves; what the paper prints, whether ours rounds to
    it (None if it prints nothing), and what the net is.
  """
  net, head = parameter_shapes(design)
  sizes = {
    name: ledger.totals['total']
    for name, ledger in make_ledgers(net, head).items()
  }
  small, whole = sizes['ternary_classifier'], sizes['with_classifier']
  agreement = None
  if design.printed:
    agreement = agrees(design.printed, sizes[design.printed_of])
  return {
    **dataclasses.asdict(design),
    'classifier_inputs': head['class_weights'].shape[1],
    'parameters': trees.parameter_count(net),
    'bytes': sizes,
    'ternary_classifier_saves': 1 - small / whole,
    'agrees': agreement,
  }


def measure_all(designs: Iterable[Design]) -> list[dict[str, Any]]:
  """`measure` of each, with a progress bar if it takes long."""
  return [
    measure(design)
    for design in files.progress(
      list(designs), desc='counting', unit='net', delay=1
    )
  ]
