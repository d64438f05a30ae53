"""Bytes of nets that hash: with classifier, without, and packed.

  python -m launch.hash_sizes

says them for the nets of the hash paper beside the sizes that it prints. What
each is, and what of it is printed, stands in the table, which goes to stderr.
For a net of one's own:

  python -m launch.hash_sizes --model_name=mobilefacenet --classes=85742

--form is one of spliced (module A: pooled features, a hash layer, and a
classifier that sees both), usual (the feature layer, a hash layer, a classifier
that sees the code alone), hash_alone (module A with such a classifier) and
module_b (no hash layer). Nothing is computed or allocated: sizes are those of
the shapes.

The result has `nets`, a row for each: label, model, form, hash_bits, fields,
identities, classifier_inputs, parameters (of the net, without classifier),
bytes by ledger (with_classifier, without_classifier, packed,
packed_with_classifier, and ternary_classifier, of which the classifier alone is
at 2 bits), ternary_classifier_saves, printed, printed_of, and agrees: whether
ours rounds to what is printed, null where nothing is.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_HASH_BITS = shared_flags.hash_bits()
_MODEL_NAME = flags.DEFINE_string(
  'model_name', None, 'Architecture; the nets of the paper by default.'
)
_FORM = flags.DEFINE_enum(
  'form',
  None,
  ['spliced', 'usual', 'hash_alone', 'module_b'],
  'What stands behind it (default spliced).',
)
_CLASSES = flags.DEFINE_integer(
  'classes',
  None,
  'Identities of its classifier (default 10,575).',
  lower_bound=1,
)
_CLASSIFIER_BIAS = flags.DEFINE_bool(
  'classifier_bias', None, 'Whether that has biases, as softmax has.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Measures the nets that the flags name."""
  from facejax import files
  from facejax.errors import UsageError
  from facejax.training import hash_designs, hash_size_table, hash_sizes

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  own = (_HASH_BITS, _FORM, _CLASSES, _CLASSIFIER_BIAS)
  if _MODEL_NAME.value:
    designs = [
      hash_designs.make_design(
        _MODEL_NAME.value,
        form=_FORM.value or 'spliced',
        hash_bits=_HASH_BITS.value,
        identities=_CLASSES.value or 10_575,
        biased=bool(_CLASSIFIER_BIAS.value),
      )
    ]
  elif given := [flag.name for flag in own if flag.value is not None]:
    raise UsageError(
      f'--{given[0]} is of a net of your own: name it by --model_name'
    )
  else:
    designs = hash_designs.PAPER
  rows = hash_sizes.measure_all(designs)
  files.note(hash_size_table.to_markdown(rows))
  return {'nets': rows}


if __name__ == '__main__':
  run.run(main)
