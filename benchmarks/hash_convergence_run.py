"""Trains the three forms of the convergence experiment and compares them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import hash_study, study_report
from benchmarks.hash_study import HELD_OUT, Study
from configs import base, hashing
from facejax.array_typing import Float

FORMS = ('usual', 'hash_alone', 'spliced')
REFERENCE = 'hash_alone'
ARCHITECTURE, LOSS = 'sphereface10', 'softmax'
FEATURES = 512  # of the feature layer, by the width
SMOOTHING = 50  # steps that a training loss is the mean of
ROUNDS = 7
# Of the paper, for its spliced form against VGG-P, each of another page.
CLAIMED_SAVINGS = {'section 3.2.1': 0.9286, 'conclusion': 0.9}

# Metrics by the names of curves; whether less is better.
CURVES = {
  'training_loss': ('classification_loss', True),
  'held_out_loss': (f'evaluation/{HELD_OUT}/loss', True),
  'float_rank1': (f'evaluation/{HELD_OUT}/rank1', False),
  'hamming_rank1': (f'evaluation/{HELD_OUT}/hash_rank1', False),
}


def make_config(
  form: str,
  study: Study,
  *,
  width: float | int,
  image_size: tuple[int, int],
  rate: float | int,
) -> Any:
  """The recipe of a form at the size of the study.

  Args:
    form: one of `FORMS`.
    study: what all forms share.
    width: factor on the channels, and on the values of the features.
    image_size: (height, width) of the input, pixels.
    rate: of the first step.
  """
  config = hashing.get_config(f'sphereface20,{form}')
  config.model.update(
    {
      'name': ARCHITECTURE,
      'width': width,
      'embedding_size': round(FEATURES * width),
      'image_size': image_size,
    }
  )
  # Its constants do not move, so that losses of two steps can be compared.
  config.loss = base.get_base().loss
  config.loss.name = LOSS
  config.learning_rate.peak = rate
  return hash_study.complete(config, study, seed=0)


def smooth(
  values: Float[np.ndarray, ' N'], window: int
) -> Float[np.ndarray, ' N']:
  """Means of the last `window` values, of fewer at the beginning."""
  sums = np.cumsum(values, dtype=np.float64)
  counts = np.minimum(np.arange(len(values)) + 1, window)
  before = np.concatenate([np.zeros(window), sums])[: len(values)]
  return (sums - before) / counts


def first_reached(
  curve: Mapping[str, list[float]], value: float, *, less: bool
) -> int | None:
  """The first step at which a curve is as good as a value; None never."""
  sign = 1 if less else -1
  good = np.flatnonzero(sign * np.asarray(curve['values']) <= sign * value)
  return curve['steps'][good[0]] if len(good) else None


def _curves(rows: list[dict[str, Any]], study: Study) -> dict[str, Any]:
  """All curves of a run, its training loss smoothed."""
  found = {
    name: hash_study.curve(rows, metric) for name, (metric, _) in CURVES.items()
  }
  losses = np.asarray(found['training_loss']['values'])
  window = max(1, SMOOTHING // study.log_every_steps)
  found['training_loss']['values'] = smooth(losses, window).tolist()
  return found


def reach(
  forms: Mapping[str, Mapping[str, Any]], name: str
) -> dict[str, dict[str, Any]]:
  """How soon each form is as good as the reference ever is.

  Args:
    forms: 'curves' and 'step_seconds' of each form.
    name: of the curve.

  Returns:
    By form 'steps' and 'seconds', None where it never is, and the shares of
    both that it saves of the reference's own.
  """
  less = CURVES[name][1]
  best = (min if less else max)(forms[REFERENCE]['curves'][name]['values'])
  found = {}
  for form, measured in forms.items():
    steps = first_reached(measured['curves'][name], best, less=less)
    found[form] = {
      'value': best,
      'steps': steps,
      'seconds': steps and steps * measured['step_seconds'],
    }
  whole = found[REFERENCE]
  for each in found.values():
    for unit in ('steps', 'seconds'):
      reached = each[unit] is not None
      each[f'{unit}_saved'] = 1 - each[unit] / whole[unit] if reached else None
  return found


def measure(
  study: Study,
  *,
  width: float | int,
  image_size: tuple[int, int],
  rate: float | int,
) -> dict[str, Any]:
  """Runs the experiment; JSON values.

  Args:
    study: what all forms share.
    width: factor on the channels.
    image_size: (height, width) of its input, pixels.
    rate: of the first step.

  Returns:
    `forms`: by form its `curves`, the median `step_seconds`, `wall_seconds` of
    its steps while it trained, `lfw` and `model` of `hash_study.measure_lfw`;
    `reached`: by curve, see `reach`; and the settings.

  Raises:
    UserError: data or a folder that cannot be used, or a run that diverges.
  """
  sizes = {'width': width, 'image_size': image_size}
  configs = {
    form: make_config(form, study, rate=rate, **sizes) for form in FORMS
  }
  runs = {
    form: hash_study.run_form(form, config, study)
    for form, config in configs.items()
  }
  seconds = hash_study.time_steps(configs, ROUNDS)
  forms = {
    form: {
      'curves': _curves(found['rows'], study),
      'step_seconds': float(np.median(seconds[form])),
      'wall_seconds': hash_study.wall_seconds(found['rows'], study.batch_size),
      'lfw': found['lfw'],
      'model': found['model'],
    }
    for form, found in runs.items()
  }
  return {
    **study_report.describe(study, 'hash_convergence'),
    'architecture': {'name': ARCHITECTURE, **sizes},
    'loss': LOSS,
    'learning_rate': rate,
    'smoothing_steps': SMOOTHING,
    'claimed_savings': CLAIMED_SAVINGS,
    'forms': forms,
    'reached': {name: reach(forms, name) for name in CURVES},
  }
