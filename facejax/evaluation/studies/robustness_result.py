"""What verification under damage found."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax.evaluation import rates
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import Degradation
from facejax.evaluation.studies.degradations import DAMAGES, Number


@dataclasses.dataclass(frozen=True)
class DamagedRates:
  """Rates of some pairs.

  Attributes:
    accuracy: mean over the folds, at the thresholds of the undamaged list.
    accuracy_new_thresholds: the same at thresholds that the other folds of
      these pairs fix.
    tar: share of genuine pairs accepted, at one threshold of the undamaged
      list.
    far: share of impostor pairs accepted there.
  """

  accuracy: float
  accuracy_new_thresholds: float
  tar: float
  far: float


@dataclasses.dataclass(frozen=True)
class Robustness:
  """Rates of the same pairs under damage of growing strength.

  Attributes:
    mode: a name of MODES.
    far: false-accept rate asked of the threshold, on the undamaged list.
    threshold: in the unit of the mode.
    num_genuine: pairs behind the TAR.
    num_impostors: pairs behind the FAR.
    num_probes: images that were damaged.
    seed: of the places of squares.
    untouched: without damage.
    damaged: by kind, by level.
  """

  mode: str
  far: float
  threshold: float
  num_genuine: int
  num_impostors: int
  num_probes: int
  seed: int
  untouched: DamagedRates
  damaged: Mapping[str, Mapping[Number, DamagedRates]]

  def _row(self, found: DamagedRates) -> dict[str, Any]:
    """Rates, with Wilson's intervals."""
    return dataclasses.asdict(found) | {
      'tar_interval_95': list(wilson_interval(found.tar, self.num_genuine)),
      'far_interval_95': list(wilson_interval(found.far, self.num_impostors)),
    }

  def to_json(self) -> dict[str, Any]:
    """JSON values: `robustness` by kind, and what it was measured on."""
    return {
      'robustness': {
        kind: [{'level': x} | self._row(found) for x, found in levels.items()]
        for kind, levels in self.damaged.items()
      },
      'robustness_of': {
        'mode': self.mode,
        'far': self.far,
        'threshold': self.threshold if math.isfinite(self.threshold) else None,
        'num_pairs': self.num_genuine + self.num_impostors,
        'num_genuine': self.num_genuine,
        'num_impostors': self.num_impostors,
        'num_damaged_images': self.num_probes,
        'seed': self.seed,
        'untouched': self._row(self.untouched),
      },
    }

  def curves(self) -> dict[str, Degradation]:
    """Three curves of every kind, with the level that changes nothing."""
    accuracy = f'accuracy of {self.num_genuine + self.num_impostors:,} pairs'
    far = rates.far_name(self.far)
    results = {
      'accuracy': f'{accuracy}, thresholds as without damage',
      'accuracy_new_thresholds': f'{accuracy}, thresholds chosen anew',
      'tar': f'TAR of {self.num_genuine:,} pairs, threshold of FAR {far} '
      'without damage',
    }
    curves = {}
    for kind, levels in self.damaged.items():
      shown, points = DAMAGES[kind], dict(levels)
      if shown.neutral is not None:
        points[shown.neutral] = self.untouched
      points = dict(sorted(points.items()))
      for key, text in results.items():
        curves[f'{kind} {key}'] = Degradation(
          name=shown.title,
          levels=np.array([*points], np.float64),
          unit=shown.unit,
          values=np.array([getattr(found, key) for found in points.values()]),
          result=text,
          untouched=getattr(self.untouched, key),
        )
    return curves
