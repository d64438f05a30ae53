"""The page of the experiment on the width of conv 2."""

from collections.abc import Mapping
from typing import Any

from benchmarks import study_report
from benchmarks.study_report import percent, table

_RATES = {
  'hamming': 'LFW Hamming',
  'two_stage': 'LFW two-stage',
  'float': 'LFW float',
  'held_out_hamming': 'held-out Hamming',
  'held_out_float': 'held-out float',
}


def _cell(found: Mapping[str, Any], rate: str) -> str:
  """The mean over the seeds; of several also the farthest from it."""
  values = [each[rate] for each in found['by_seed']]
  mean = found['mean'][rate]
  if len(values) == 1:
    return percent(mean)
  return f'{percent(mean)} ± {percent(max(abs(v - mean) for v in values))}'


def markdown(result: Mapping[str, Any]) -> str:
  """The page of a result of `hash_ratios_run.measure`."""
  rows = [
    [
      name,
      *(_cell(found, rate) for rate in _RATES),
      f'{found["model"]["embedding_size"]}',
      f'{found["model"]["parameters"]:,}',
      f'{found["model"]["bytes"]:,}',
      f'{found["model"]["code"]} + {found["model"]["float32"]:,}',
      percent(found['published']),
    ]
    for name, found in result['ratios'].items()
  ]
  head = [
    'ratio',
    *_RATES.values(),
    'F',
    'parameters',
    'bytes',
    'bytes a template',
    'paper',
  ]
  seeds = len(result['seeds'])
  chance = (
    'One seed: differences of a point or so may be chance.'
    if seeds == 1
    else f'Means of {seeds} seeds, ± the farthest of them.'
  )
  parts = [
    '# The width of conv 2 in module A',
    study_report.setting(result),
    f'Rank-1 in %. LFW: {result["protocol"]}, {result["num_gallery"]:,} people,'
    f' {result["num_probes"]:,} probes, mode {result["mode"]}, c = '
    f'{result["candidates"]}; nothing was chosen by it. {chance} Parameters '
    'without classifier, four bytes each; bytes of a template: its code, and '
    'its vector in float32.',
    table(head, rows),
    'The paper: SphereFace-20 on CASIA-WebFace, another split of LFW (3,143 '
    'probes, 4,249 people, its list unknown). Its numbers and these are not '
    'to be compared one with the other, only their order with this order.',
  ]
  return '\n\n'.join(part.strip() for part in parts) + '\n'
