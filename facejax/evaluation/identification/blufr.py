"""BLUFR: verification and open-set identification on draws of LFW.

Its numbers are means over ten draws less one standard deviation, so that no
method wins by luck.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from facejax import files
from facejax.array_typing import Float, Int
from facejax.data.identification_splits import Split
from facejax.errors import UsageError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs.scores import score_all_pairs
from facejax.evaluation.identification.open_set import open_set

PAIR_FARS = (1e-3, 1e-4, 1e-5, 1e-6)
PROBE_FARS = (1e-2, 1e-3)


class _Trial(NamedTuple):
  """A draw: its images, and how many false alarms it can show.

  Attributes:
    split: images enrolled and looked up, by their rows.
    test: int [T], both, rising.
    people: int [T], the person of each, 0 .. P - 1.
    impostor_pairs: pairs of different people.
    impostor_probes: images looked up of people who are not enrolled.
  """

  split: Split
  test: Int[np.ndarray, ' T']
  people: Int[np.ndarray, ' T']
  impostor_pairs: int
  impostor_probes: int


def _trial(labels: Int[np.ndarray, ' N'], split: Split) -> _Trial:
  """What there is to count in a split."""
  test = np.sort(np.concatenate(split))
  people = np.unique(labels[test], return_inverse=True)[1]
  images = np.bincount(people)
  known = np.isin(labels[split.probes], labels[split.gallery])
  return _Trial(
    split,
    test,
    people,
    impostor_pairs=int(len(test) ** 2 - (images**2).sum()) // 2,
    impostor_probes=int((~known).sum()),
  )


def _resolved(
  fars: Sequence[float], counts: Sequence[int], kind: str
) -> list[float]:
  """Those of some rates that every trial resolves.

  Raises:
    UsageError: not even the first, which BLUFR reports.
  """
  found = [far for far in fars if far in rates.resolvable_fars(min(counts))]
  if not found:
    raise UsageError(
      f'BLUFR needs {round(1 / fars[0]):,} impostor {kind} or more in every '
      f'trial, for a FAR of {rates.far_name(fars[0])}: trial '
      f'{int(np.argmin(counts)) + 1} has {min(counts):,}'
    )
  return found


def _fars(trials: Sequence[_Trial]) -> tuple[list[float], list[float]]:
  """The rates of pairs and of probes that all trials resolve.

  Raises:
    UsageError: a trial is too small for those that BLUFR reports.
  """
  return (
    _resolved(PAIR_FARS, [trial.impostor_pairs for trial in trials], 'pairs'),
    _resolved(
      PROBE_FARS, [trial.impostor_probes for trial in trials], 'probes'
    ),
  )


def check_trials(
  labels: Int[np.ndarray, ' N'], splits: Sequence[Split]
) -> None:
  """Refuses trials that `blufr` would refuse, before anything is embedded.

  Raises:
    UsageError: a trial is too small.
  """
  _fars([_trial(labels, split) for split in splits])


def _summaries(found: Sequence[dict[float, float]]) -> dict[str, Any]:
  """Mean, sample deviation and their difference for each rate.

  Args:
    found: the shares of each trial; a single trial has no deviation.
  """
  summaries = {}
  for far in found[0]:
    shares = [trial[far] for trial in found]
    mean = float(np.mean(shares))
    std = float(np.std(shares, ddof=1)) if len(shares) > 1 else None
    summaries[rates.far_name(far)] = {
      'mean': mean,
      'std': std,
      'mean_minus_std': None if std is None else mean - std,
      'of_trials': shares,
    }
  return summaries


def blufr(
  features: Float[np.ndarray, 'N D'],
  labels: Int[np.ndarray, ' N'],
  splits: Sequence[Split],
  *,
  mesh: Mesh | None = None,
) -> dict[str, Any]:
  """Verifies all pairs of every trial and looks its probes up.

  A threshold for a false-accept rate f lies at the (floor(f N) + 1)-th largest
  of N impostors, as everywhere here, and what scores above it is accepted. The
  MATLAB toolkit accepts from the round(f N)-th on. On two nets and draws of
  the published size the TAR at 1e-3 is the same to six digits, the DIR at
  1e-2 (some 43 alarms) up to 0.001 higher than the toolkit's rule gives.

  Args:
    features: float32 [N, D], unit norm; inner products are scores.
    labels: int [N], the person of every image.
    splits: of the trials: images enrolled, one a person, and looked up, by
      their rows; together they are the test set of a trial.
    mesh: its devices share the work; None takes all of this process.

  Returns:
    JSON values. `tar_at_far`: of all pairs of the test set, at FAR 1e-3 and
    below; `dir_at_far`: of identification at rank 1 at FAR 1e-2 and below.
    Each rate has `mean`, `std`, the published `mean_minus_std`, and
    `of_trials`. Rates that some trial cannot resolve are left out.

  Raises:
    UsageError: the trials are too small for FAR 1e-3 and 1e-2.
    DataError: a trial has no genuine pair, or probes of one kind only.

  References:
    S. Liao, Z. Lei, D. Yi, S. Z. Li, A Benchmark Study of Large-scale
    Unconstrained Face Recognition, 2014.
  """
  trials = [_trial(labels, split) for split in splits]
  pair_fars, probe_fars = _fars(trials)
  verified, identified = [], []
  for trial in files.progress(trials, desc='BLUFR', unit='trial', delay=2):
    pairs = score_all_pairs(
      features[trial.test], trial.people, fars=pair_fars, mesh=mesh
    )
    probes = open_set(
      features, labels, *trial.split, fars=probe_fars, mesh=mesh
    )
    verified.append({far: at.tar for far, at in pairs.points.items()})
    identified.append({far: at.dir for far, at in probes.points.items()})
  return {
    'tar_at_far': _summaries(verified),
    'dir_at_far': _summaries(identified),
    'far_rule': 'at_most',
    'num_trials': len(trials),
    'impostor_pairs_of_trials': [trial.impostor_pairs for trial in trials],
    'impostor_probes_of_trials': [trial.impostor_probes for trial in trials],
  }
