"""IJB-B and IJB-C: templates of many images, verified 1:1 and sought 1:N."""

import dataclasses
import functools
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.data.ijb_set import (
  IJBB,
  IJBC,
  IjbLists,
  IjbSet,
  choose_tasks,
  read_lists,
)
from facejax.errors import UsageError
from facejax.evaluation.held_source import KeepingSource
from facejax.evaluation.modes import check_mode
from facejax.evaluation.protocols.protocol import Protocol, common_result
from facejax.evaluation.reporting.curves import Curves
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.templates.aligned_source import AlignedSource
from facejax.evaluation.templates.confused import confused_templates
from facejax.evaluation.templates.pooling import TemplateRule, make_templates
from facejax.evaluation.templates.scores import pair_scores
from facejax.evaluation.templates.search import (
  averaged,
  concatenated,
  dir_curves,
  search_templates,
)
from facejax.evaluation.templates.verification import verify_templates

_SETS = {'ijbb': IJBB, 'ijbc': IJBC}
_CROPS = 'loose_crop'
_MODES = {'insightface': True, 'plain': False}  # whether mirror images count


def choose_rule(template: str | None, mode: str) -> TemplateRule:
  """The rule of the templates; its letter F and the mode say the same.

  Args:
    template: such as 'N1D1F1'; None is N1D1F1, as InsightFace publishes, or
      N1D1F0 in mode plain.
    mode: 'insightface' (F1) or 'plain' (F0).

  Raises:
    UsageError: the two disagree, or one of them is unknown.
  """
  if mode not in _MODES:
    raise UsageError(
      f'mode {mode!r}: templates are made in mode insightface (image plus '
      'mirror image) or plain'
    )
  if template is None:
    return TemplateRule(mirror=_MODES[mode])
  rule = TemplateRule.parse(template)
  if rule.mirror != _MODES[mode]:
    right = next(
      name for name, mirror in _MODES.items() if mirror != _MODES[mode]
    )
    raise UsageError(
      f'template {template} and mode {mode} disagree about mirror images: use '
      f'--mode={right}'
    )
  return rule


def _find_lists(
  spec: IjbSet, source: EmbeddingSource, lists: files.PathLike | None
) -> files.Path:
  """The folder of the list files."""
  if lists is not None:
    folders = [files.Path(lists), files.Path(lists) / 'meta']
  else:
    data = getattr(source, 'data', None)  # saved embeddings have none
    beside = source.beside('meta')
    folders = [] if data is None else [data / 'meta']
    folders += [] if beside is None else [beside]
  for folder in folders:
    if (folder / spec.media_file).exists():
      return folder
  tried = f' (not in {", ".join(map(str, folders))})' if folders else ''
  raise UsageError(
    f'{spec.name} needs its list files, {spec.media_file} and others{tried}: '
    'give their folder with --lists'
  )


def _aligned(source: EmbeddingSource, lists: IjbLists) -> EmbeddingSource:
  """A model's source reads crops; here it aligns them first."""
  model = getattr(source, 'model', None)  # saved embeddings have none
  if model is None:
    return source
  aligned = AlignedSource(
    model,
    source.data,
    lists.faces.names,
    lists.faces.landmarks,
    folder=_CROPS,
    batch_size=source.batch_size,
    name=source.name,
  )
  if isinstance(source, KeepingSource):
    return source.around(aligned)
  return aligned


def _is_official(spec: IjbSet, lists: IjbLists) -> bool:
  """Whether all counts are the published ones; says which are not."""
  counts = {
    'images': (len(lists.faces), spec.num_images),
    'templates': (len(lists.numbers), spec.num_templates),
  }
  if lists.pairs is not None:
    counts['pairs'] = (len(lists.pairs.same), spec.num_pairs)
    counts['genuine pairs'] = (int(lists.pairs.same.sum()), spec.num_genuine)
  if lists.probes is not None:
    for number, (gallery, published) in enumerate(
      zip(lists.galleries, spec.num_gallery, strict=True), 1
    ):
      counts[f'templates in gallery {number}'] = (
        len(gallery.templates),
        published,
      )
    counts['probes'] = (len(lists.probes.templates), spec.num_probes)
  wrong = [
    f'{found:,} {what} ({published:,} were published)'
    for what, (found, published) in counts.items()
    if found != published
  ]
  if wrong:
    files.note(f'not the official {spec.name}: {", ".join(wrong)}')
  return not wrong


def _templates(
  lists: IjbLists, source: EmbeddingSource, rule: TemplateRule
) -> Float[np.ndarray, 'T D']:
  """Embeds all images once and pools them; the embeddings are let go."""
  faces = lists.faces
  _, features = make_templates(
    source.embed(list(faces.names), flip=rule.mirror),
    faces.templates,
    faces.media,
    faces.detector_scores,
    rule,
  )
  return features


def _identify(
  lists: IjbLists, features: Float[np.ndarray, 'T D']
) -> tuple[dict[str, Any], dict[str, Any]]:
  """1:N in both variants: JSON values, and what is drawn of them."""
  *galleries, probes = (features[rows] for rows in lists.search_rows)
  search = search_templates(probes, tuple(galleries), lists.mates)
  variants = {
    'concatenated': concatenated(search),
    'averaged': averaged(search),
  }
  return (
    {'num_probes': len(probes), 'identification': variants},
    {
      'cmc': {name: np.array(part['cmc']) for name, part in variants.items()},
      'dir': dir_curves(search),
    },
  )


def evaluate_ijb(
  protocol: str,
  source: EmbeddingSource,
  *,
  mode: str,
  lists: files.PathLike | None = None,
  template: str | None = None,
  task: str | None = None,
) -> Report:
  """Runs 1:1 and 1:N on the templates of a set.

  Args:
    protocol: 'ijbb' or 'ijbc'.
    source: a model with the folder of the set (or its loose crops, or an
      archive of either), or saved embeddings of all its images, named as in
      the lists.
    mode: 'insightface' for templates with F1, 'plain' for F0.
    lists: folder of the list files, or the one above its `meta`; by default
      `meta` in or beside the data.
    template: switches N, D and F, as of `TemplateRule`; by default N1D1F1.
    task: '1:1', '1:N' or 'both'; by default those whose lists are there.

  Raises:
    DataError: a list, an image or an embedding cannot be used.
    UsageError: an option is unknown, or something is missing that it needs.

  References:
    spec 13.5; InsightFace, recognition/_evaluation_/ijb.
  """
  spec = _SETS[protocol]
  rule = choose_rule(template, mode)
  check_mode(mode, has_flip=source.has_flip, has_mean=False)
  folder = _find_lists(spec, source, lists)
  tasks = choose_tasks(spec, folder, task)
  read = read_lists(spec, folder, tasks)
  official = _is_official(spec, read)
  source = _aligned(source, read)
  features = _templates(read, source, rule)
  result = {
    **common_result(protocol, source, mode=mode),
    **rule.to_json(),
    'lists': str(folder),
    'tasks': list(tasks),
    'official': official,
    'num_images': len(read.faces),
    'num_templates': len(read.numbers),
  }
  curves, confused = Curves(), []
  if read.pairs is not None:
    scores = pair_scores(features, *read.pair_rows)
    verified = verify_templates(scores, read.pairs.same)
    result |= verified.to_json()
    curves = Curves(
      roc={rule.name: verified.roc_curve()},
      histogram={rule.name: verified.histogram()},
    )
    confused = confused_templates(read, scores, source)
  if read.probes is not None:
    found, drawn = _identify(read, features)
    result |= found
    curves = dataclasses.replace(curves, **drawn)
  return Report(
    result,
    title=f'{spec.name}: {len(read.numbers):,} templates of '
    f'{len(read.faces):,} images',
    curves=curves,
    confused=confused,
  )


PROTOCOLS: dict[str, Protocol] = {
  name: Protocol(
    functools.partial(evaluate_ijb, name),
    frozenset({'lists', 'template', 'task', 'save_embeddings'}),
  )
  for name in _SETS
}
