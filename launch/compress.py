"""Makes a model smaller.

  python -m launch.compress --model=out/float --output=out/packed

--method=ternary stores every kernel in 2 bits a weight: each weight becomes
-alpha, 0 or +alpha, with one alpha a filter (--granularity=filter) or a tensor
(--granularity=tensor). Depthwise kernels stay float. --rules says otherwise:
each is a regex over parameter names ('REGEX' or 'REGEX=GRANULARITY', where
'float' exempts), and the first that matches wins:

  --rules='stem/.*=float' --rules='.*kernel'

The model is packed as it is. It was not trained for that and loses most of its
accuracy, which its model.json records (post_training: true); for a model that
keeps it, train with --config.ternary.from_step in launch.train.

The result has bytes_before and bytes_after (payload), bytes_on_disk (Orbax
compresses and adds metadata), their ratio, bits_per_weight and the ledger,
every tensor by kind, which sums to bytes_after.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_METHOD = shared_flags.method()
_GRANULARITY = flags.DEFINE_enum(
  'granularity', 'filter', ['filter', 'tensor'], 'What shares one scale.'
)
_RULES = flags.DEFINE_multi_string(
  'rules', [], 'Which parameters are ternary, instead of every kernel.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Compresses the model and reports its size."""
  from facejax.errors import UsageError
  from facejax.training import compress

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _MODEL.value or not _OUTPUT.value:
    raise UsageError('--model and --output are needed: two model directories')
  methods = {'ternary': compress.compress_ternary}
  method = _METHOD.value or 'ternary'
  if method not in methods:
    raise UsageError(f'--method={method}: use {", ".join(methods)}')
  rules = compress.parse_rules(_RULES.value, _GRANULARITY.value)
  return methods[method](
    _MODEL.value,
    _OUTPUT.value,
    granularity=_GRANULARITY.value,
    rules=rules or None,
    overwrite=_OVERWRITE.value,
  )


if __name__ == '__main__':
  run.run(main)
