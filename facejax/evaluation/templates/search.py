"""1:N identification of templates, in both ways that are published (IJB).

Every probe shows somebody who is in exactly one of two galleries.

*Concatenated* (InsightFace's ijb_1n.py): both galleries are one, so every
probe has a mate and none is an impostor. The threshold for a false-positive
rate f is the ceil(f Q)-th highest of *all* scores of the Q probes with
templates that are not their mates; a mate above it counts, whatever its rank.
So f is false matches a search, several of one probe counted severally, and
not the share of searches with a false alarm.

*Averaged* (ijb_evals.py since InsightFace's pull request 1739, and
Keras_insightface): each gallery is searched alone; the probes of the other
gallery are impostors, n of them. The threshold is the max(floor(f n), 1)-th
highest of the impostors' best scores; a mate counts that is above it and above
every other template of its gallery. Rates of the two galleries are averaged;
ranks are pooled over all probes.

Both thresholds are themselves scores that count as rejected, so either rule
accepts one false match less than f allows. Spec 13.5 takes the
(floor(f n) + 1)-th highest: this rule, 'at_most', is reported beside the
averaged one. Rates that the probes cannot resolve are left out; ijb_evals.py
gives them all the same, at the threshold of the highest impostor.

Ranks: a mate's is 1 + the number of other templates that score at least as
high, so ties are errors; the scripts leave ties to their sort.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Array, Float, Int
from facejax.evaluation import metrics
from facejax.evaluation.identification import ranks
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import DirCurve
from facejax.evaluation.templates.scores import score_blocks

FPIRS = (1e-1, 1e-2, 1e-3, 1e-4)
_RANKS = (1, 5, 10)


@dataclasses.dataclass(frozen=True)
class TemplateSearch:
  """What searching both galleries for every probe found.

  Attributes:
    sizes: templates in the first and in the second gallery.
    home: int [Q], the gallery of a probe's mate, 0 or 1.
    mate_scores: float32 [Q].
    ranks: int [Q], of the mate among both galleries, from 1.
    home_ranks: int [Q], of the mate in its own gallery.
    best_others: float32 [Q, 2], highest score in either gallery of a template
      that is not the mate; -inf where there is none.
    false_matches: float32 [M], the highest scores of all probes with templates
      that are not their mates, falling; enough for the largest rate of FPIRS.
  """

  sizes: tuple[int, int]
  home: Int[np.ndarray, ' Q']
  mate_scores: Float[np.ndarray, ' Q']
  ranks: Int[np.ndarray, ' Q']
  home_ranks: Int[np.ndarray, ' Q']
  best_others: Float[np.ndarray, 'Q 2']
  false_matches: Float[np.ndarray, ' M']


@functools.partial(jax.jit, static_argnames='split')
def _look(
  scores: Float[Array, 'B G'], mates: Int[Array, ' B'], *, split: int
) -> dict[str, Array]:
  """What is kept of a block of scores, and the scores without the mates."""
  columns = jnp.arange(scores.shape[1])
  is_mate = columns[None, :] == mates[:, None]
  mate_scores = jnp.take_along_axis(scores, mates[:, None], axis=1)
  others = jnp.where(is_mate, -jnp.inf, scores)
  beating = others >= mate_scores
  ahead = [part.sum(axis=1) for part in jnp.split(beating, [split], axis=1)]
  best = [
    part.max(axis=1, initial=-jnp.inf)
    for part in jnp.split(others, [split], axis=1)
  ]
  return {
    'mate_scores': mate_scores[:, 0],
    'ranks': 1 + ahead[0] + ahead[1],
    'home_ranks': 1 + jnp.where(mates < split, ahead[0], ahead[1]),
    'best_others': jnp.stack(best, axis=1),
    'others': others,
  }


def _highest(
  scores: Float[np.ndarray, ' M'], count: int
) -> Float[np.ndarray, ' M2']:
  """The `count` highest of some scores, in no order."""
  if len(scores) <= count:
    return scores
  return np.partition(scores, len(scores) - count)[-count:]


def search_templates(
  probes: Float[np.ndarray, 'Q D'],
  galleries: tuple[Float[np.ndarray, 'G1 D'], Float[np.ndarray, 'G2 D']],
  mates: Int[np.ndarray, ' Q'],
) -> TemplateSearch:
  """Scores all probes with both galleries, block by block.

  Args:
    probes: float32 [Q, D], of unit norm.
    galleries: the templates of each, float32.
    mates: int [Q], the row of a probe's mate in both galleries, the second
      behind the first.
  """
  split = len(galleries[0])
  kept = math.ceil(len(probes) * max(FPIRS))
  false_matches = np.empty(0, np.float32)
  found: dict[str, list[np.ndarray]] = {}
  for start, scores in score_blocks(
    probes, np.concatenate(galleries), desc='searching'
  ):
    block = _look(scores, mates[start : start + len(scores)], split=split)
    others = np.asarray(block.pop('others'))
    # Most scores of a later block are below all that is kept.
    floor = -np.inf
    if len(false_matches) == kept:
      floor = false_matches.min()
    false_matches = _highest(
      np.concatenate([false_matches, others[others > floor]]), kept
    )
    for name, values in block.items():
      found.setdefault(name, []).append(np.asarray(values))
  return TemplateSearch(
    sizes=(split, len(galleries[1])),
    home=(mates >= split).astype(np.int64),
    false_matches=np.sort(false_matches)[::-1],
    **{name: np.concatenate(parts) for name, parts in found.items()},
  )


def _by_rank(found: Int[np.ndarray, ' Q']) -> dict[str, Any]:
  """Shares of probes whose mate is within a rank."""
  shares = ranks.cmc(found)
  return {
    **{f'rank{rank}': float(shares[rank - 1]) for rank in _RANKS},
    'rank1_interval_95': list(wilson_interval(float(shares[0]), len(found))),
    'cmc': shares.tolist(),
  }


def concatenated(search: TemplateSearch) -> dict[str, Any]:
  """The variant of ijb_1n.py as JSON values; shares of 1."""
  count = len(search.ranks)
  rates, thresholds = {}, {}
  for fpir in FPIRS:
    place = math.ceil(count * fpir) - 1
    if fpir * count < 1 or place >= len(search.false_matches):
      continue
    threshold = float(search.false_matches[place])
    name = metrics.far_name(fpir)
    rates[name] = float((search.mate_scores > threshold).mean())
    thresholds[name] = threshold
  return {
    'source': 'InsightFace ijb_1n.py',
    **_by_rank(search.ranks),
    'tpir_at_fpir': rates,
    'thresholds': thresholds,
    'fpir_rule': 'ceil(FPIR x probes)-th highest of all non-mate scores',
    'rank1_needed': False,
    'num_gallery': sum(search.sizes),
    'num_probes': count,
  }


def _one_gallery(search: TemplateSearch, gallery: int) -> dict[str, Any]:
  """What a gallery searched alone gives, by both rules."""
  genuine, impostor = open_set(search, gallery)
  falling = np.sort(impostor)[::-1]
  first = search.home_ranks[search.home == gallery] == 1
  rates, thresholds, at_most = {}, {}, {}
  for fpir in FPIRS:
    if fpir * len(impostor) < 1:
      continue
    name = metrics.far_name(fpir)
    threshold = float(falling[max(int(len(impostor) * fpir) - 1, 0)])
    rates[name] = float((first & (genuine > threshold)).mean())
    thresholds[name] = threshold
    at_most[name] = ranks.dir_at_far(
      genuine, np.where(first, 1, 2), impostor, fpir
    ).dir
  return {
    'rank1': float(first.mean()),
    'tpir_at_fpir': rates,
    'thresholds': thresholds,
    'tpir_at_most_fpir': at_most,
    'num_gallery': search.sizes[gallery],
    'num_genuine': len(genuine),
    'num_impostors': len(impostor),
  }


def open_set(
  search: TemplateSearch, gallery: int
) -> tuple[Float[np.ndarray, ' Q'], Float[np.ndarray, ' I']]:
  """Mates' scores of a gallery's probes, and best scores of all others."""
  own = search.home == gallery
  return search.mate_scores[own], search.best_others[~own, gallery]


def averaged(search: TemplateSearch) -> dict[str, Any]:
  """The variant of ijb_evals.py as JSON values; shares of 1."""
  parts = [_one_gallery(search, gallery) for gallery in (0, 1)]
  means = {
    key: {
      name: (parts[0][key][name] + parts[1][key][name]) / 2
      for name in parts[0][key]
      if name in parts[1][key]
    }
    for key in ('tpir_at_fpir', 'tpir_at_most_fpir')
  }
  return {
    'source': 'InsightFace ijb_evals.py',
    **_by_rank(search.home_ranks),
    **means,
    'fpir_rule': "floor(FPIR x n)-th highest of n impostors' best scores",
    'rank1_needed': True,
    'galleries': parts,
    'num_gallery': sum(search.sizes),
    'num_probes': len(search.ranks),
  }


def dir_curves(search: TemplateSearch) -> dict[str, DirCurve]:
  """The open-set curve of each gallery, to draw."""
  curves = {}
  for gallery in (0, 1):
    genuine, impostor = open_set(search, gallery)
    found = search.home_ranks[search.home == gallery]
    curve = ranks.dir_curve(genuine, found, impostor)
    curves[f'gallery {gallery + 1}'] = DirCurve(
      far=curve.far, dir=curve.dir, num_impostors=len(impostor)
    )
  return curves
