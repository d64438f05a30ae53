"""The numbers of the benchmark of codes as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = (
  '| bits | layer | Hamming | asymmetric | Hamming, then cosine, c = {hamming}'
  ' | asymmetric, then cosine, c = {asymmetric} | bytes of a code | smallest c'
  ' for 99.9 %: Hamming / asymmetric |\n'
  '| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |'
)
_TIMES = (
  "| bits | S1', ms an image | stage 1, Hamming / asymmetric, µs | stage 2, µs"
  " | S2' Hamming / asymmetric, µs | S2' float search, µs | S Hamming two-stage"
  ' / float search, s |\n'
  '| ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
)


def _percent(share: float) -> str:
  return f'{100 * share:.2f}'


def _rates(row: Mapping[str, Any]) -> str:
  """A line of rates."""
  cells = (
    str(row['codes']['bits']),
    row['method'],
    _percent(row['hamming']),
    _percent(row['asymmetric']),
    _with_loss(row, 'two_stage_hamming'),
    _with_loss(row, 'two_stage_asymmetric'),
    str(row['bytes_per_template']['code']),
    f'{row["smallest_hamming"]:,} / {row["smallest_asymmetric"]:,}',
  )
  return f'| {" | ".join(cells)} |'


def _with_loss(row: Mapping[str, Any], key: str) -> str:
  """A rate with what it lacks of float search, in points."""
  difference = 100 * (row[key] - row['float'])
  return f'{_percent(row[key])} ({difference:+.2f})'.replace('-', '−')


def _times(row: Mapping[str, Any]) -> str:
  """A line of times."""
  found = row['timing']
  hamming, asymmetric = (
    found['two_stage_hamming'],
    found['two_stage_asymmetric'],
  )
  whole = found['float_search']
  extraction = found.get('extraction_ms_per_image')
  cells = (
    str(row['codes']['bits']),
    '–' if extraction is None else f'{extraction:.2f}',
    _both(hamming, asymmetric, 'stage_1_us_per_probe'),
    f'{hamming["stage_2_us_per_probe"]:.0f}',
    _both(hamming, asymmetric, 'matching_us_per_probe'),
    f'{whole["matching_us_per_probe"]:.0f}',
    '–'
    if extraction is None
    else f'{hamming["total_s"]:.1f} / {whole["total_s"]:.1f}',
  )
  return f'| {" | ".join(cells)} |'


def _both(first: Mapping[str, Any], second: Mapping[str, Any], key: str) -> str:
  return f'{first[key]:.0f} / {second[key]:.0f}'


def _of_net(name: str, rows: Sequence[Mapping[str, Any]], head: str) -> str:
  """The tables of a net."""
  first = rows[0]
  vectors = first['bytes_per_template']
  timed = {row['codes']['bits']: row for row in rows}
  lines = [
    f'## {name}',
    '',
    f'Float search: Rank-1 {_percent(first["float"])} %. Vectors of the second '
    f'stage: {vectors["float32"]} bytes a template in float32, '
    f'{vectors["float16"]} in float16, {vectors["int8"]} in int8.',
    '',
    head,
    *map(_rates, rows),
    '',
    'Batch size 1, median of five, one run:',
    '',
    _TIMES,
    *(_times(timed[bits]) for bits in sorted(timed)),
    '',
  ]
  return '\n'.join(lines)


def markdown(result: Mapping[str, Any]) -> str:
  """The page of a result of `hash_codes_run.measure_all`."""
  nets: dict[str, list[Mapping[str, Any]]] = {}
  for row in result['rows']:
    nets.setdefault(row['net'], []).append(row)
  exact = all(row['equals_float_search'] for row in result['rows'])
  lines = [
    '# Codes of frozen nets on the closed set of LFW',
    '',
    f'{result["num_gallery"]:,} people enrolled with their first image, '
    f'{result["num_probes"]:,} probes; Rank-1 in %, equal scores count as '
    'errors; in brackets the difference to float search in points. The '
    'backbone is frozen, layers are fitted on the training set alone, mode '
    f'{result["mode"]}. With all {result["num_gallery"]:,} as candidates every '
    'answer is '
    + ('that' if exact else 'NOT that')
    + ' of exhaustive float search.',
    '',
    f'{result["date"]}, {result["machine"]["processor"]}, JAX '
    f'{result["machine"]["jax"]}, {result["num_cores"]} cores, load average '
    f'{result["load_average"]:.1f} at the end: `{result["command"]}`',
    '',
  ]
  head = _HEAD.format(**result['candidates'])
  pages = [_of_net(name, rows, head) for name, rows in nets.items()]
  return '\n'.join([*lines, *pages])
