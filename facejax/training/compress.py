"""Compresses a finished model without training it."""

from typing import Any

from facejax import files
from facejax.checkpoint.model_directory import (
  read_model_directory,
  write_model_directory,
)
from facejax.compression import packed, ternary
from facejax.compression.ledger import make_ledger
from facejax.errors import UsageError
from facejax.files import PathLike
from facejax.inference.description import describe_model, read_preprocessing


def parse_rules(texts: list[str], granularity: str) -> ternary.Rules:
  """Ternary rules from command-line texts, 'REGEX' or 'REGEX=GRANULARITY'.

  Args:
    texts: the rules, first match first.
    granularity: of those that name none.
  """
  rules = []
  for text in texts:
    pattern, _, value = text.rpartition('=')
    named = pattern and value in ternary.GRANULARITIES
    rules.append((pattern, value) if named else (text, granularity))
  return tuple(rules)


def compress_ternary(
  model: PathLike,
  output: PathLike,
  *,
  granularity: str = 'filter',
  rules: ternary.Rules | None = None,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Packs a float model's weights in 2 bits as they are.

  The model was not trained for it and loses most of its accuracy; its
  description says so (`post_training`). Thresholds, the training mean and the
  classifier belong to the float model and stay behind.

  Args:
    model: a float model directory.
    output: the new model directory.
    granularity: of the default rules, 'filter' or 'tensor'.
    rules: instead of the default ones, see `compression.ternary`.
    overwrite: replaces what stands at `output`.

  Returns:
    bytes_before and bytes_after (payload: parameters and statistics),
    bytes_on_disk (of the folder), ratio, bits_per_weight (of the ternary
    weights' codes), bits_per_weight_all, bytes_by_kind, ledger (its rows),
    post_training, model_dir; also written to compression.json in `output`.

  Raises:
    CheckpointError: `model` cannot be read.
    UsageError: it is packed already, a rule fits nothing, or `output` exists.
  """
  source = read_model_directory(model)
  if source.is_packed:
    raise UsageError(f'{model} is packed already: give the float model')
  variables, description = source.variables, source.description
  if rules is None:
    rules = ternary.default_rules(variables['params'], granularity)
  ternary.check_ternary_rules(variables['params'], rules)
  architecture = description['architecture']
  write_model_directory(
    output,
    description=describe_model(
      variables,
      architecture=architecture['name'],
      fields=architecture['fields'],
      preprocessing=read_preprocessing(description),
      rules=rules,
      post_training=True,
      training_data=description['training_data'],
    ),
    variables=variables,
    rules=rules,
    overwrite=overwrite,
  )
  result = {
    **_report(variables, rules),
    'bytes_on_disk': files.directory_bytes(output),
    'post_training': True,
    'model_dir': str(output),
  }
  files.write_json(files.Path(output) / 'compression.json', result)
  return result


def _report(variables: dict[str, Any], rules: ternary.Rules) -> dict[str, Any]:
  """The ledger of the packed variables against the float ones."""
  params = packed.pack_tree_jit(variables['params'], rules)
  ledger = make_ledger({**variables, 'params': params})
  before = make_ledger(variables).totals['total']
  after = ledger.totals['total']
  return {
    'bytes_before': before,
    'bytes_after': after,
    'ratio': before / after,
    'bits_per_weight': ledger.bits_per_weight['codes'],
    'bits_per_weight_all': ledger.bits_per_weight['all'],
    'bytes_by_kind': ledger.totals,
    'ledger': ledger.to_json(),
  }
