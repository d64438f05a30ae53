"""Trains module A at several widths of conv 2 and measures each on LFW."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import hash_study, study_report
from benchmarks.hash_study import HELD_OUT, Study
from configs import hashing

ARCHITECTURE = 'sphereface10'
RATIOS = {'1': 1.0, '3/4': 0.75, '1/2': 0.5, '1/3': 1 / 3, '1/4': 0.25}
# Rank-1 of the paper, SphereFace-20 on CASIA, of an LFW split that is unknown.
PUBLISHED = {
  '1': 0.9032,
  '3/4': 0.8793,
  '1/2': 0.9558,
  '1/3': 0.8366,
  '1/4': 0.8151,
}
_RATES = ('hamming', 'two_stage', 'float')
_HELD_OUT_RATES = {
  'held_out_float': f'evaluation/{HELD_OUT}/rank1',
  'held_out_hamming': f'evaluation/{HELD_OUT}/hash_rank1',
}


def make_config(
  ratio: float | int,
  study: Study,
  *,
  width: float | int,
  image_size: tuple[int, int],
  rate: float | int,
  seed: int,
) -> Any:
  """The recipe of a ratio at the size of the study.

  Args:
    ratio: of the channels of the last stage, before `width` acts on them too.
    study: what all runs share.
    width: factor on the channels.
    image_size: (height, width) of the input, pixels.
    rate: of the first step.
    seed: of weights and of the order of the images.
  """
  config = hashing.get_config('sphereface20,spliced')
  config.model.update(
    {
      'name': ARCHITECTURE,
      'width': width,
      'image_size': image_size,
      'last_ratio': ratio,
    }
  )
  config.learning_rate.peak = rate
  return hash_study.complete(config, study, seed)


def _rates(found: dict[str, Any]) -> dict[str, float]:
  """What a run finds at its end, on LFW and among held-out people."""
  held_out = {
    name: hash_study.curve(found['rows'], metric)['values'][-1]
    for name, metric in _HELD_OUT_RATES.items()
  }
  return {rate: found['lfw'][rate] for rate in _RATES} | held_out


def measure(
  study: Study,
  seeds: Sequence[int],
  *,
  width: float | int,
  image_size: tuple[int, int],
  rate: float | int,
) -> dict[str, Any]:
  """Runs the experiment; JSON values.

  Seed by seed, so that a whole table is there first.

  Args:
    study: what all runs share.
    seeds: each gives a run of every ratio.
    width: factor on the channels.
    image_size: (height, width) of the input, pixels.
    rate: of the first step.

  Returns:
    `ratios`: by ratio the rates of every seed in `by_seed`, their `mean` and
    the `model`; and the settings.

  Raises:
    UserError: data or a folder that cannot be used, or a run that diverges.
  """
  runs: dict[str, list[dict[str, Any]]] = {name: [] for name in RATIOS}
  for seed in seeds:
    for name, ratio in RATIOS.items():
      config = make_config(
        ratio,
        study,
        width=width,
        image_size=image_size,
        rate=rate,
        seed=seed,
      )
      folder = f'{name.replace("/", "_")}_seed_{seed}'
      runs[name].append(hash_study.run_form(folder, config, study))
  ratios = {}
  for name, found in runs.items():
    by_seed = [_rates(each) for each in found]
    ratios[name] = {
      'by_seed': by_seed,
      'mean': {
        rate: float(np.mean([each[rate] for each in by_seed]))
        for rate in by_seed[0]
      },
      'published': PUBLISHED[name],
      'model': found[0]['model'],
    }
  lfw = runs['1'][0]['lfw']
  return {
    **study_report.describe(study, 'hash_ratios'),
    'architecture': {
      'name': ARCHITECTURE,
      'width': width,
      'image_size': image_size,
    },
    'loss': 'A-Softmax',
    'learning_rate': rate,
    'seeds': [*seeds],
    'num_probes': lfw['num_probes'],
    'num_gallery': lfw['num_gallery'],
    'ratios': ratios,
  }
