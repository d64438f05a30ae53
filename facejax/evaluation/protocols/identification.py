"""Identification, closed set and open set, of LFW or of a user's lists.

Best-Rowden et al. (2014) defined both on LFW, but whom they enrolled was never
listed (spec 13.2). So there is a full closed set without any chance in it,
draws with the published counts, and lists; results of one say nothing about
another.
"""

from facejax.evaluation.protocols import lfw_closed, lfw_open
from facejax.evaluation.protocols.protocol import Protocol

_OPTIONS = frozenset(
  {'draws', 'seed', 'gallery', 'probes', 'timing', 'save_embeddings'}
)
PROTOCOLS: dict[str, Protocol] = {
  'lfw_closed': Protocol(lfw_closed.run, _OPTIONS | {'closed_split'}),
  'lfw_open': Protocol(lfw_open.run, _OPTIONS | {'far'}),
}
