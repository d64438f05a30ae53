"""Identification as its definitions read, in plain loops."""

import math


def naive_rank(scores, label, gallery_labels):
  """1 + other identities whose best score is at least the mate's; 0 if none."""
  best = {}
  for score, identity in zip(scores, gallery_labels, strict=True):
    best[identity] = max(score, best.get(identity, -math.inf))
  if label not in best:
    return 0
  mate = best.pop(label)
  return 1 + sum(score >= mate for score in best.values())


def naive_dir_at_far(genuine, ranks, impostor, far, rank):
  """(dir, far, threshold): the lowest score that few enough impostors pass."""

  def share(threshold):
    return sum(score > threshold for score in impostor) / len(impostor)

  candidates = sorted([-math.inf, *impostor])
  threshold = next(t for t in candidates if share(t) <= far * (1 + 1e-12))
  found = [
    score > threshold and place <= rank
    for score, place in zip(genuine, ranks, strict=True)
  ]
  return sum(found) / len(found), share(threshold), threshold
