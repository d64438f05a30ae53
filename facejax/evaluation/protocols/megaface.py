"""Protocol `megaface`: challenge 1, probes among a million distractors."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from facejax import files
from facejax.errors import UsageError
from facejax.evaluation.megaface.challenge import MegaFace, score_megaface
from facejax.evaluation.megaface.distractors import (
  SAME_NAMES,
  Distractors,
  open_distractor_source,
  open_distractors,
)
from facejax.evaluation.megaface.files import (
  check_folder,
  devkit_command,
  write_devkit_folder,
)
from facejax.evaluation.megaface.refined import (
  INSIGHTFACE,
  check_rule,
)
from facejax.evaluation.modes import MODES, check_mode
from facejax.evaluation.protocols.megaface_confused import most_confused
from facejax.evaluation.protocols.megaface_probes import (
  Probes,
  read_noise,
  read_probes,
  refine,
)
from facejax.evaluation.protocols.protocol import Protocol, common_result
from facejax.evaluation.reporting.curves import Curves
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource

# People and images: the challenge's probe list, and all of FaceScrub
# (Ng and Winkler, 2014).
_OFFICIAL_PROBES = ((80, 3530), (530, 106863))
_OFFICIAL_DISTRACTORS = 1_000_000


def _check_mode(source: EmbeddingSource, mode: str) -> None:
  """Refuses modes that cannot be computed block by block."""
  if mode in MODES and MODES[mode].transductive:
    raise UsageError(
      f'mode {mode} needs the mean of all images at once, and distractors come '
      'in blocks: use insightface, plain or centred'
    )
  check_mode(
    mode, has_flip=source.has_flip, has_mean=source.training_mean is not None
  )


def _check_options(
  distractors: files.PathLike | None,
  refined_rule: str | None,
  save_features: files.PathLike | None,
  wants_refined: bool,
) -> None:
  """Refuses what cannot be followed, before any embedding."""
  if distractors is None:
    raise UsageError('protocol megaface needs --distractors')
  if refined_rule is not None:
    check_rule(refined_rule)
    if not wants_refined:
      raise UsageError(
        '--refined_rule is for noise lists: give --probe_noise or '
        '--distractor_noise'
      )
  if save_features is not None:
    check_folder(save_features)


def _merge(parts: Sequence[Curves]) -> Curves:
  """Curves of several results in one picture each."""
  return Curves(
    **{
      kind: {k: v for part in parts for k, v in getattr(part, kind).items()}
      for kind in ('roc', 'histogram', 'cmc')
    }
  )


@contextlib.contextmanager
def _features_folder(path: files.PathLike | None) -> Iterator[Any]:
  """An empty folder that becomes `path`, or None where none is wanted."""
  if path is None:
    yield None
    return
  with files.new_directory(path) as folder:
    yield folder


def _counts(probes: Probes, crowd: Distractors) -> dict[str, Any]:
  """How many images there are, and whether they are as many as published."""
  counts = probes.to_json()
  official = (
    counts['num_people'],
    counts['num_probes'],
  ) in _OFFICIAL_PROBES and len(crowd) == _OFFICIAL_DISTRACTORS
  if not official:
    files.note(
      'protocol megaface: {num_probes:,} probes of {num_people:,} people and '
      '{0:,} distractors; the challenge has 3,530 of 80 and 1,000,000'.format(
        len(crowd), **counts
      )
    )
  return {
    'official': official,
    'measure': 'cosine',
    **counts,
    'num_distractors': len(crowd),
    'num_excluded_distractors': crowd.num_excluded,
  }


def _saved(path: files.PathLike, refined: bool, count: int) -> dict[str, Any]:
  """What became of the features, and what reads them."""
  folders = [f'{path}/original', *([f'{path}/refined'] if refined else [])]
  return {
    'saved_features': str(path),
    'devkit_commands': [devkit_command(folder, count) for folder in folders],
  }


def run(
  source: EmbeddingSource,
  *,
  mode: str,
  distractors: files.PathLike | None = None,
  probe_list: files.PathLike | None = None,
  distractor_list: files.PathLike | None = None,
  num_distractors: int | None = None,
  same_names: str = SAME_NAMES[0],
  probe_noise: files.PathLike | None = None,
  distractor_noise: files.PathLike | None = None,
  refined_rule: str | None = None,
  feature_suffix: str | None = None,
  far: Sequence[float] | None = None,
  save_features: files.PathLike | None = None,
) -> Report:
  """Identifies and verifies probes among distractors.

  Args:
    source: gives the probes, IDENTITY/image.
    mode: a name of `modes.MODES`, none that is transductive.
    distractors: images of other people: a folder, zip or tar of crops for the
      model of the probes, embeddings (.npz, or a folder of names.txt and
      plain.npy), or a folder of the devkit's feature files.
    probe_list: which probes, and whom they show: JSON of the devkit or text;
      by default all images of the source, by folder.
    distractor_list: which distractors, in which order; by default all, sorted
      by name.
    num_distractors: how many of them, the first.
    same_names: what it means when probes and distractors have folders of one
      name: 'refuse', 'exclude' those distractors, or 'keep' them.
    probe_noise: list of probes that show somebody else.
    distractor_noise: list of distractors that are none. With one of these
      lists, the refined result stands beside the original one.
    refined_rule: 'insightface' (the default) or 'facex_zoo', see
      `megaface.refined`.
    feature_suffix: the end of the distractors' feature files, where there are
      those of several algorithms.
    far: false-accept rates; by default 1e-3 .. 1e-6, as far as the pairs
      resolve them.
    save_features: new folder for the features in the devkit's files; the
      result then has the devkit's commands for them.

  Raises:
    DataError: a list, an image or an embedding cannot be used.
    UsageError: an option cannot be followed, or the mode is unknown or lacks
      what it needs.

  References:
    spec 13.4; Kemelmacher-Shlizerman et al., The MegaFace Benchmark, 2016.
  """
  wants_refined = probe_noise is not None or distractor_noise is not None
  _check_options(distractors, refined_rule, save_features, wants_refined)
  _check_mode(source, mode)
  others = open_distractor_source(distractors, source, suffix=feature_suffix)
  probes = read_probes(source, mode, probe_list)
  with (
    open_distractors(
      others,
      probes.names,
      mode=mode,
      images=distractor_list,
      count=num_distractors,
      same_names=same_names,
    ) as crowd,
    _features_folder(save_features) as folder,
  ):
    found = {mode: _measure(probes, crowd, far, folder, 'original')}
    result = common_result('megaface', source, mode=mode) | {
      'distractors': str(distractors),
      **_counts(probes, crowd),
      **found[mode].to_json(),
    }
    if wants_refined:
      refined_rule = refined_rule or INSIGHTFACE
      noise = read_noise(probes, crowd, probe_noise, distractor_noise)
      better = refine(probes, crowd, noise, refined_rule)
      refined = _measure(*better, far, folder, 'refined')
      found[f'{mode}, refined'] = refined
      result['refined'] = {
        'rule': refined_rule,
        **noise.to_json(),
        **refined.to_json(),
      }
    if save_features is not None:
      result |= _saved(save_features, wants_refined, len(crowd))
    confused = most_confused(source, probes.names, crowd, found[mode])
  return Report(
    result,
    title=(
      f'MegaFace: {len(probes.names):,} probes, {len(crowd):,} distractors'
    ),
    curves=_merge([part.curves(name) for name, part in found.items()]),
    confused=confused,
  )


def _measure(
  probes: Probes,
  crowd: Distractors,
  fars: Sequence[float] | None,
  folder: files.Path | None,
  name: str,
) -> MegaFace:
  """Scores the probes, and writes the features where they are wanted."""
  found = score_megaface(probes.features, probes.labels, crowd, fars=fars)
  if folder is not None:
    write_devkit_folder(
      folder / name, probes.features, probes.names, probes.identities, crowd
    )
  return found


PROTOCOLS: dict[str, Protocol] = {
  'megaface': Protocol(
    run,
    frozenset(
      {
        'distractors',
        'probe_list',
        'distractor_list',
        'num_distractors',
        'same_names',
        'probe_noise',
        'distractor_noise',
        'refined_rule',
        'feature_suffix',
        'far',
        'save_features',
        'save_embeddings',
      }
    ),
  )
}
