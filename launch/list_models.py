"""Lists the architectures: parameters, multiply-adds, what is published.

  python -m launch.list_models
  python -m launch.list_models --models=mobilefacenet,mbf

Everything is counted from shapes, nothing is computed. The table goes to
stderr, or with --output to a file of markdown:

  python -m launch.list_models --output=docs/models.md --overwrite

The result has `models`, a row for each model, for each set of fields that
something is published of, and for module A (pooled features and a hash layer)
of the nets that configs/hashing.py trains: name, fields, image_size,
embedding_size, parameters, folded_parameters, multiply_adds, bytes_float32,
published, and disagreements, a sentence for every printed figure that is not
ours, rounded.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_MODELS = flags.DEFINE_list('models', [], 'Names of models; all by default.')


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Counts the models that the flags name."""
  from facejax import files
  from facejax.errors import UsageError
  from facejax.models import listing

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  output = files.Path(_OUTPUT.value) if _OUTPUT.value else None
  if output is not None and output.is_dir():
    raise UsageError(f'--output={output} is a folder: name a file')
  if output is not None and output.exists() and not _OVERWRITE.value:
    raise UsageError(
      f'{output} already exists: choose another file, or give --overwrite'
    )
  rows = listing.list_models(_MODELS.value)
  page = listing.to_markdown(rows)
  if output is None:
    files.note(page)
    return {'models': rows}
  files.write_bytes(output, page.encode())
  return {'models': rows, 'output': str(output)}


if __name__ == '__main__':
  run.run(main)
