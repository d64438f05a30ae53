"""Every margin loss once more, one number at a time, from the papers.

Each function gives the logit of a target; `logits` does the rest.
"""

import math

PARAMS = {
  'softmax': {'weight_norms': [0.5, 2.0, 1.5], 'bias': [0.1, -0.2, 0.3]},
  'normface': {'scale': 7.0},
  'adaface': {'norm_mean': 18.0, 'norm_std': 6.0},
}


def softmax(c, norm, column):
  weight_norm = PARAMS['softmax']['weight_norms'][column]
  return norm * weight_norm * c + PARAMS['softmax']['bias'][column]


def a_softmax_psi(theta, m):
  k = min(int(m * theta / math.pi), m - 1)
  return (-1) ** k * math.cos(m * theta) - 2 * k


def a_softmax(c, norm, step):
  weight = max(5.0, 1000.0 / (1 + 0.12 * step))
  psi = a_softmax_psi(math.acos(c), 4)
  return norm * (weight * c + psi) / (1 + weight)


def arcface(c, m=0.5):
  theta = math.acos(c)
  if theta + m < math.pi:
    return 64 * math.cos(theta + m)
  return 64 * (c - m * math.sin(m))


def adaface(c, norm):
  stats = PARAMS['adaface']
  z = 0.333 * (norm - stats['norm_mean']) / (stats['norm_std'] + 1e-3)
  z = min(max(z, -1.0), 1.0)
  theta = min(max(math.acos(c) - 0.4 * z, 1e-3), math.pi - 1e-3)
  return 64 * (math.cos(theta) - 0.4 - 0.4 * z)


def logits(name, cosines, labels, norms, step):
  """[B, K] as nested lists; of sub-centres, cosines are [B, 3 K]."""
  if name == 'sub_center_arcface':
    cosines = [
      [max(row[i : i + 3]) for i in range(0, len(row), 3)] for row in cosines
    ]
  result = []
  for row, label, norm in zip(cosines, labels, norms, strict=True):
    scale = {'am_softmax': 30.0, 'normface': 7.0, 'a_softmax': norm}
    values = [scale.get(name, 64.0) * c for c in row]
    if name == 'softmax':
      values = [softmax(c, norm, column) for column, c in enumerate(row)]
    elif label >= 0:
      c = row[label]
      values[label] = {
        'normface': lambda c: 7.0 * c,
        'am_softmax': lambda c: 30 * (c - 0.35),
        'cosface': lambda c: 64 * (c - 0.35),
        'arcface': arcface,
        'sub_center_arcface': arcface,
        'combined_margin': arcface,
        'a_softmax': lambda c, norm=norm: a_softmax(c, norm, step),
        'adaface': lambda c, norm=norm: adaface(c, norm),
      }[name](c)
    result.append(values)
  return result
