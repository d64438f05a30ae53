"""Adds a hash layer to a finished model; nothing is trained but that layer.

  python -m launch.add_hash --model=out/model --data=out/clean \\
    --hash_bits=128 --output=out/hashed

The layer is u = W F + b on the embedding F at unit norm, and bit l of a code is
u_l > 0. The model's embeddings, thresholds and packed weights stay as they are;
the new model directory hashes too (facejax.load_model(...).hash). --method is

  trained  (default) begins with itq, or with random for more bits than the
           embedding is long, and is trained to rank faces as embeddings do, by
           codes and by logits against codes; people held out say when to stop
  itq      principal components and a rotation (Gong et al., 2011), fitted to
           the faces; more bits than the embedding is long are several rotations
  random   random hyperplanes, orthogonal in blocks
  sign     signs of the embedding: --hash_bits is its length

The first two need --data, a set of launch.prepare_data with several people and
images of each, which is embedded once, mirrored too. The other two do without,
and say how the bits of the faces are distributed if it is given.

The result has bytes_added (of parameters), seconds, the first and last loss,
the balance, entropy and correlation of the bits and, of a trained layer, how
often a mate is found first among the people held out, at the start and after
each round. The same stands in model.json, under training_data.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_DATA = shared_flags.data()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_BATCH_SIZE = shared_flags.batch_size()
_HASH_BITS = shared_flags.hash_bits()
_METHOD = shared_flags.method()
_SEED = shared_flags.seed()
_REPLACE_HASH = flags.DEFINE_bool(
  'replace_hash', False, 'Replace a hash layer that the model has already.'
)
_HASH_STEPS = flags.DEFINE_integer(
  'hash_steps', None, 'Updates of a trained layer.', lower_bound=1
)
_HASH_LEARNING_RATE = flags.DEFINE_float(
  'hash_learning_rate', None, 'Of a trained layer, at first.', lower_bound=0.0
)
_HASH_TEMPERATURE = flags.DEFINE_float(
  'hash_temperature',
  None,
  'Of a trained layer: the higher, the more the nearest faces count.',
  lower_bound=0.0,
)
_HASH_HELD_OUT = flags.DEFINE_float(
  'hash_held_out',
  None,
  'Of a trained layer: share of the people who judge instead of training.',
  lower_bound=0.0,
)
_ITQ_ITERATIONS = flags.DEFINE_integer(
  'itq_iterations', None, 'Of --method=itq (default 50).', lower_bound=1
)
_MAX_HASH_FACES = flags.DEFINE_integer(
  'max_hash_faces',
  200_000,
  'Of a larger set, people evenly spread over it are taken.',
  lower_bound=4,
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Writes the model with its hash layer and reports on it."""
  from facejax.errors import UsageError
  from facejax.training import hash_layers
  from facejax.training.hash_settings import HashTraining

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _MODEL.value or not _OUTPUT.value:
    raise UsageError('--model and --output are needed: two model directories')
  method = _METHOD.value or 'trained'
  training = {
    'steps': _HASH_STEPS.value,
    'learning_rate': _HASH_LEARNING_RATE.value,
    'temperature': _HASH_TEMPERATURE.value,
    'held_out': _HASH_HELD_OUT.value,
  }
  training = {k: v for k, v in training.items() if v is not None}
  if training and method != 'trained':
    raise UsageError(
      f'--hash_{next(iter(training))} is of --method=trained, not of {method}'
    )
  if _ITQ_ITERATIONS.value is not None and method != 'itq':
    raise UsageError(f'--itq_iterations is of --method=itq, not of {method}')
  if _SEED.value is not None and method == 'sign':
    raise UsageError('--seed: --method=sign draws nothing')
  seed = _SEED.value or 0
  return hash_layers.add_hash(
    _MODEL.value,
    _OUTPUT.value,
    data=_DATA.value,
    hash_bits=_HASH_BITS.value,
    method=method,
    settings=HashTraining(seed=seed, **training),
    iterations=_ITQ_ITERATIONS.value or 50,
    seed=seed,
    max_faces=_MAX_HASH_FACES.value,
    batch_size=_BATCH_SIZE.value,
    replace=_REPLACE_HASH.value,
    overwrite=_OVERWRITE.value,
  )


if __name__ == '__main__':
  run.run(main)
