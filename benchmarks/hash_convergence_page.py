"""The page and the picture of the convergence experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import study_report
from benchmarks.hash_convergence_run import CURVES, FORMS, REFERENCE
from benchmarks.study_report import percent, table
from facejax.evaluation.reporting.canvas import (
  ShareFormatter,
  add_legend,
  clean,
  line_style,
  set_title,
)

_NAMES = {
  'usual': 'usual: feature layer, then h',
  'hash_alone': 'VGG-P: pooled F, h alone',
  'spliced': 'spliced: pooled F, F and h',
}
_TITLES = {
  'training_loss': 'training loss',
  'held_out_loss': 'held-out loss',
  'float_rank1': 'held-out Rank-1, float',
  'hamming_rank1': 'held-out Rank-1, Hamming',
}
_PANELS = ('training_loss', 'held_out_loss', 'hamming_rank1', 'float_rank1')
_SIZE = (11, 11)  # inches


def _draw(
  axes: Axes, forms: Mapping[str, Mapping[str, Any]], name: str, *, timed: bool
) -> Sequence[Any]:
  """A curve of every form over steps or seconds; the lines."""
  lines = []
  for number, found in enumerate(forms.values()):
    curve = found['curves'][name]
    unit = found['step_seconds'] if timed else 1
    places = [unit * step for step in curve['steps']]
    lines += axes.plot(places, curve['values'], **line_style(number))
  clean(axes)
  set_title(axes, _TITLES[name])
  axes.set_xlabel('seconds' if timed else 'step')
  if 'rank1' in name:
    axes.yaxis.set_major_formatter(ShareFormatter())
  return lines


def figure(result: Mapping[str, Any]) -> Figure:
  """Losses and Rank-1 of a result against steps, left, and seconds, right."""
  drawn = Figure(figsize=_SIZE, layout='constrained')
  grid = drawn.subplots(len(_PANELS), 2, sharex='col', sharey='row')
  for row, name in zip(grid, _PANELS, strict=True):
    for axes, timed in zip(row, (False, True), strict=True):
      lines = _draw(axes, result['forms'], name, timed=timed)
      axes.label_outer()
  add_legend(drawn, lines, [_NAMES[form] for form in FORMS], columns=3)
  return drawn


def _reached(result: Mapping[str, Any], name: str) -> str:
  """How soon each form is as good as the reference ever is."""
  rows = []
  for form, found in result['reached'][name].items():
    if found['steps'] is None:
      rows.append([_NAMES[form], 'not reached', '–', '–', '–'])
      continue
    rows.append(
      [
        _NAMES[form],
        f'{found["steps"]:,}',
        f'{found["seconds"]:.0f}',
        percent(found['steps_saved']),
        percent(found['seconds_saved']),
      ]
    )
  value = result['reached'][name][REFERENCE]['value']
  shown = f'{percent(value)} %' if 'rank1' in name else f'{value:.3f}'
  return f'### {_TITLES[name]}: {shown}\n\n' + table(
    ['form', 'steps', 'seconds', 'steps saved, %', 'seconds saved, %'], rows
  )


def _final(result: Mapping[str, Any]) -> str:
  """What the finished models find."""
  rows = []
  for form, found in result['forms'].items():
    curves, lfw, model = found['curves'], found['lfw'], found['model']
    rows.append(
      [
        _NAMES[form],
        *(f'{curves[name]["values"][-1]:.3f}' for name in list(CURVES)[:2]),
        *(percent(curves[name]['values'][-1]) for name in list(CURVES)[2:]),
        *(percent(lfw[name]) for name in ('hamming', 'two_stage', 'float')),
        f'{model["parameters"]:,}',
        f'{1e3 * found["step_seconds"]:.0f}',
      ]
    )
  head = ['form', *(_TITLES[name] for name in CURVES)]
  lfw = [f'LFW {name}' for name in ('Hamming', 'two-stage', 'float')]
  return table([*head, *lfw, 'parameters', 'ms a step'], rows)


def markdown(result: Mapping[str, Any]) -> str:
  """The page of a result of `hash_convergence_run.measure`."""
  lfw = result['forms'][REFERENCE]['lfw']
  claims = ' and '.join(
    f'{percent(share)} % ({where})'
    for where, share in result['claimed_savings'].items()
  )
  parts = [
    '# Convergence of three forms of a hashing net',
    study_report.setting(result),
    'All from scratch, one seed and one order of the images. Training loss: '
    f'classification alone, mean of the last {result["smoothing_steps"]} '
    'steps. Held-out loss: that of a softmax over the people, of the float '
    'embeddings, which are F, or the feature layer. Seconds are steps times '
    'the median time of a step, taken in turns in one process.',
    '![curves](hash_convergence.png)',
    "## Until the VGG-P form's best is reached",
    *(_reached(result, name) for name in CURVES),
    f'The paper claims that its spliced form saves {claims} of the time of '
    'VGG-P: 13/14 and nine tenths, which disagree with each other, and it does '
    'not say what of.',
    '## At the end',
    _final(result),
    f'Rank-1 in %. LFW: {result["protocol"]}, {lfw["num_gallery"]:,} people, '
    f'{lfw["num_probes"]:,} probes, mode {result["mode"]}, c = '
    f'{lfw["candidates"]}; nothing was chosen by it. Parameters without '
    'classifier.',
  ]
  return '\n\n'.join(part.strip() for part in parts) + '\n'
