"""Protocols by name: embeddings in, a report out."""

from typing import Any

from facejax.errors import UsageError
from facejax.evaluation.held_source import KeepingSource
from facejax.evaluation.protocols import (
  all_pairs,
  folder,
  identification,
  ijb,
  megaface,
  pair_lists,
  two_stage,
)
from facejax.evaluation.protocols.protocol import ALL_MODES, Protocol
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource

PROTOCOLS: dict[str, Protocol] = {
  **pair_lists.PROTOCOLS,
  **all_pairs.PROTOCOLS,
  **folder.PROTOCOLS,
  **identification.PROTOCOLS,
  **two_stage.PROTOCOLS,
  **megaface.PROTOCOLS,
  **ijb.PROTOCOLS,
}


def default_mode(protocol: str) -> str:
  """The mode of a protocol of PROTOCOLS where none is asked for."""
  return PROTOCOLS[protocol].default_mode


def evaluate(
  protocol: str,
  source: EmbeddingSource,
  *,
  mode: str | None = None,
  **options: Any,
) -> Report:
  """Runs a protocol.

  Args:
    protocol: a name of PROTOCOLS.
    source: gives the embeddings of the images.
    mode: a name of `modes.MODES`, or 'all' where the protocol allows it; None
      takes the protocol's own.
    **options: what the protocol takes beside; None counts as not given.

  Returns:
    Result and curves, not yet written.

  Raises:
    DataError: a list, an image or an embedding cannot be used.
    UsageError: the protocol, the mode or an option is unknown, or something
      is missing that they need.
  """
  if protocol not in PROTOCOLS:
    raise UsageError(f'protocol {protocol!r}: use {" or ".join(PROTOCOLS)}')
  chosen = PROTOCOLS[protocol]
  given = {key: value for key, value in options.items() if value is not None}
  for key in sorted(given.keys() - chosen.options):
    takes = ', '.join(f'--{name}' for name in sorted(chosen.options))
    raise UsageError(
      f'--{key} means nothing to protocol {protocol}, which takes {takes}'
    )
  mode = chosen.default_mode if mode is None else mode
  if mode == ALL_MODES and not chosen.all_modes:
    raise UsageError(f'protocol {protocol} runs in one mode at a time')
  if 'save_embeddings' in given:
    source = KeepingSource(source, given.pop('save_embeddings'))
  return chosen.run(source, mode=mode, **given)
