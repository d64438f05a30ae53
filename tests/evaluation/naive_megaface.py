"""MegaFace as its definition reads, in plain loops."""

import math


def naive_ranks(probes, labels, distractors):
  """Rank of the mate for every ordered pair (i joins, j looks for it)."""
  ranks = []
  for j, probe in enumerate(probes):
    others = [float(probe @ d) for d in distractors]
    for i, mate in enumerate(probes):
      if i != j and labels[i] == labels[j]:
        score = float(probe @ mate)
        ranks.append(1 + sum(other > score for other in others))
  return ranks


def naive_point(probes, labels, distractors, far):
  """(tar, far, threshold) where at most floor(far N) impostors are above."""
  genuine = [
    float(probes[i] @ probes[j])
    for i in range(len(probes))
    for j in range(i)
    if labels[i] == labels[j]
  ]
  impostor = sorted(
    (float(p @ d) for p in probes for d in distractors), reverse=True
  )
  accepted = math.floor(far * len(impostor) * (1 + 1e-12))
  at = impostor[accepted] if accepted < len(impostor) else -math.inf
  return (
    sum(score > at for score in genuine) / len(genuine),
    sum(score > at for score in impostor) / len(impostor),
    at,
  )


def naive_area(probes, labels, distractors):
  """How often a genuine pair outscores an impostor pair, ties one half."""
  wins = trials = 0
  impostor = [float(p @ d) for p in probes for d in distractors]
  for i in range(len(probes)):
    for j in range(i):
      if labels[i] == labels[j]:
        score = float(probes[i] @ probes[j])
        wins += sum((score > x) + (score == x) / 2 for x in impostor)
        trials += len(impostor)
  return wins / trials
