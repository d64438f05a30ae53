"""Nets with hash layers whose size is asked for: the paper's, and others.

References:
  Zeng et al., Deep Face Recognition Algorithm Based on Weighted Hashing, 2019;
  which nets its sizes are of is read off them (spec 4.4).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from facejax.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Form:
  """Where the hash layer stands, and what the classifier sees.

  Attributes:
    pooled: whether the net is module A.
    classifier: what it sees of a hash layer, see `HashObjective`; None for no
      hash layer.
  """

  pooled: bool
  classifier: str | None


FORMS = {
  'spliced': Form(True, 'spliced'),
  'usual': Form(False, 'hash'),
  'hash_alone': Form(True, 'hash'),
  'module_b': Form(False, None),
}


@dataclasses.dataclass(frozen=True)
class Design:
  """A net with hash layer and classifier.

  Attributes:
    label: what it is called.
    model: of `facejax.models.MODELS`.
    form: of `FORMS`.
    hash_bits: L; 0 for the form without.
    identities: K of the classifier.
    biased: whether it has a bias for each of them, as softmax has.
    fields: of the model, beside those of form and hash layer.
    extra_width: channels of a further 3 x 3 convolution with PReLU behind conv
      2; 0 for none.
    printed: size that the paper prints for it, or nothing.
    printed_of: which ledger of `hash_sizes.LEDGERS` that is of.
  """

  label: str
  model: str
  form: str
  hash_bits: int
  identities: int
  biased: bool = False
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  extra_width: int = 0
  printed: str = ''
  printed_of: str = 'with_classifier'


_VGG = {'model': 'vgg16', 'identities': 10_575, 'biased': True}
_SPHEREFACE = {'model': 'sphereface20', 'identities': 10_572}
_TERNARY = {'printed_of': 'ternary_classifier'}
PAPER = (
  Design('VGG', form='module_b', hash_bits=0, printed='710.3 MB', **_VGG),
  Design('VGG-P', form='hash_alone', hash_bits=128, printed='64.9 MB', **_VGG),
  Design('VGG-O1', form='spliced', hash_bits=128, **_VGG),
  Design(
    'VGG-O2',
    form='spliced',
    hash_bits=128,
    printed='62.5 MB',
    **_TERNARY,
    **_VGG,
  ),
  Design(
    'SphereFace-20',
    form='module_b',
    hash_bits=0,
    printed='112.3 MB',
    **_SPHEREFACE,
  ),
  Design(
    'Hash-Sphereface (a)',
    form='spliced',
    hash_bits=48,
    printed='53.9 MB',
    **_SPHEREFACE,
  ),
  Design(
    'Hash-Sphereface (b)',
    form='spliced',
    hash_bits=256,
    fields={'last_ratio': 1},
    extra_width=256,
    printed='53.9 MB',
    **_TERNARY,
    **_SPHEREFACE,
  ),
  Design('Hash-Sphereface, ours', form='spliced', hash_bits=128, **_SPHEREFACE),
)


def make_design(
  model: str, *, form: str, hash_bits: int | None, **rest: Any
) -> Design:
  """A design of one's own.

  Args:
    model: of `facejax.models.MODELS`.
    form: of `FORMS`.
    hash_bits: L; None for 128, or for 0 in the form without a hash layer.
    **rest: identities, biased, fields.

  Raises:
    UsageError: an unknown form; bits for the form without a hash layer, or
      none for another.
  """
  if form not in FORMS:
    raise UsageError(f'form {form!r}: use one of {", ".join(FORMS)}')
  has_hash = FORMS[form].classifier is not None
  if hash_bits is None:
    hash_bits = 128 if has_hash else 0
  if bool(hash_bits) != has_hash:
    raise UsageError(
      f'hash_bits={hash_bits}: {form} has '
      + ('a hash layer, use 8 or more' if has_hash else 'no hash layer')
    )
  label = f'{model} {form}'
  return Design(label, model, form, hash_bits=hash_bits, **rest)
