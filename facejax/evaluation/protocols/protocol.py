"""What a protocol is, and what every one of them says in its result."""

import dataclasses
from collections.abc import Callable
from typing import Any

from facejax.evaluation.modes import MODES
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource

ALL_MODES = 'all'


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to measure.

  Attributes:
    run: called with an `EmbeddingSource`, `mode=` and those of `options` that
      were given, by keyword; returns a `Report`.
    options: keywords of `run` beside `mode`; any other is refused.
    all_modes: whether `mode` may be 'all'.
    default_mode: the mode where none is asked for.
  """

  run: Callable[..., Report]
  options: frozenset[str] = frozenset()
  all_modes: bool = False
  default_mode: str = 'insightface'


def common_result(
  protocol: str, source: EmbeddingSource, *, mode: str
) -> dict[str, Any]:
  """JSON values that open every result: what was measured, and how."""
  transductive = mode in MODES and MODES[mode].transductive
  return {
    'protocol': protocol,
    'mode': mode,
    'transductive': transductive,
    **source.describe(),
  }
