"""The table of all models: what they count, and what is published of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from facejax import files
from facejax.models import MODELS, get_model
from facejax.models.counts import Counts, count_model
from facejax.models.published import PUBLISHED, Published, agrees

BYTES = 4  # of a float32
# Nets whose module A with a hash layer is listed beside them.
MODULE_A = ('mobilefacenet', 'vgg16', 'sphereface20', 'ir18', 'alexnet')
_MODULE_A_FIELDS = {'pooled': True, 'hash_bits': 128}
_HEAD = """\
# Models

Written by `python -m launch.list_models --output=docs/models.md --overwrite`; \
a test keeps it true.

Counts are of the net up to the embedding, or to the hash layer that it has, \
without classifier, at its default fields. *Folded* is after BatchNorm has \
become part of the layers before it. \
Multiply-adds are those of the convolutions and dense layers for one image. \
MB are 10^6 bytes, four for each parameter; running statistics are not among \
them. Published figures stand as they are printed; some include a classifier.
"""
_COLUMNS = (
  'name',
  'input',
  'embedding',
  'parameters',
  'folded',
  'multiply-adds',
  'MB',
  'published parameters',
  'multiply-adds',
  'size',
)


def list_models(names: Sequence[str] = ()) -> list[dict[str, Any]]:
  """Counts models from their shapes; nothing is computed.

  Args:
    names: of `MODELS`; all of them by default.

  Returns:
    A row for each model, for each set of its fields that something is published
    of, and for module A of those in `MODULE_A`: JSON values by name. `fields`
    are those that are not its defaults, `published` the figures as printed, and
    `disagreements` a sentence for each that is not ours rounded.

  Raises:
    UsageError: an unknown name.
  """
  wanted = [(name, {}) for name in names or MODELS]
  for name, _ in list(wanted):
    for entry in PUBLISHED:
      fields = dict(entry.fields)
      if entry.name == name and (name, fields) not in wanted:
        wanted.append((name, fields))
    if name in MODULE_A:
      wanted.append((name, _MODULE_A_FIELDS))
  return [
    _row(name, fields)
    for name, fields in files.progress(
      wanted, desc='counting', unit='model', delay=1
    )
  ]


def _row(name: str, fields: dict[str, Any]) -> dict[str, Any]:
  model = get_model(name, **fields)
  counts = count_model(model)
  entries = [
    p for p in PUBLISHED if p.name == name and dict(p.fields) == fields
  ]
  return {
    'name': name,
    'fields': fields,
    'image_size': list(model.image_size),
    'image_channels': model.image_channels,
    'embedding_size': counts.embedding_size,
    'parameters': counts.parameters,
    'folded_parameters': counts.folded_parameters,
    'multiply_adds': counts.multiply_adds,
    'bytes_float32': BYTES * counts.parameters,
    'published': [
      {
        'source': entry.source,
        'parameters': entry.parameters,
        'multiply_adds': entry.multiply_adds,
        'size': entry.size,
      }
      for entry in entries
    ],
    'disagreements': [
      sentence for entry in entries for sentence in disagreements(entry, counts)
    ],
  }


def disagreements(entry: Published, counts: Counts) -> list[str]:
  """A sentence for each figure that is not the count rounded.

  Args:
    entry: the figures.
    counts: of the net that they are about.
  """
  head = entry.identities * (counts.embedding_size + entry.biased)
  counted = {
    'parameters': getattr(counts, entry.counted) + head,
    'multiply_adds': counts.multiply_adds,
    'size': BYTES * (counts.parameters + head),
  }
  what = {
    'parameters': 'parameters',
    'multiply_adds': 'multiply-adds',
    'size': 'bytes',
  }
  differing = {
    figure: count
    for figure, count in counted.items()
    if getattr(entry, figure) and not agrees(getattr(entry, figure), count)
  }
  if not differing:
    return []
  parts = ', '.join(
    f'{getattr(entry, figure)} where {count:,} {what[figure]} are counted'
    for figure, count in differing.items()
  )
  label = _label(entry.name, entry.fields)
  return [f'{label}: {entry.source} prints {parts}; {entry.remark}.']


def _label(name: str, fields: Any) -> str:
  """A model and its fields as they would be written."""
  described = [
    f'{field}={"x".join(map(str, value))}'
    if isinstance(value, tuple)
    else f'{field}={value}'
    for field, value in fields.items()
  ]
  return ', '.join([f'`{name}`', *described])


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
  """The rows of `list_models` as a page.

  Returns:
    A table of the models, one of the same nets with other fields if there are
    any, and all disagreements.
  """
  parts = [_HEAD, _table(row for row in rows if not row['fields'])]
  variants = [row for row in rows if row['fields']]
  if variants:
    parts += ['With other fields:\n', _table(variants)]
  sentences = [s for row in rows for s in row['disagreements']]
  if sentences:
    parts.append('Where published figures are not these counts, rounded:\n')
    parts.append(''.join(f'- {sentence}\n' for sentence in sentences))
  return '\n'.join(parts)


def _table(rows: Iterable[dict[str, Any]]) -> str:
  lines = [_COLUMNS, ('---',) * 3 + ('---:',) * 4 + ('---',) * 3]
  for row in rows:
    height, width = row['image_size']
    channels = row['image_channels']
    published = [
      '; '.join(p[figure] for p in row['published'] if p[figure])
      for figure in ('parameters', 'multiply_adds', 'size')
    ]
    lines.append(
      (
        _label(row['name'], row['fields']),
        f'{height}x{width}x{channels}',
        str(row['embedding_size']),
        f'{row["parameters"]:,}',
        f'{row["folded_parameters"]:,}',
        f'{row["multiply_adds"] / 1e6:,.1f} M',
        f'{row["bytes_float32"] / 1e6:,.2f}',
        *published,
      )
    )
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)
