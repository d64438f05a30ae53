"""Flags of `launch.evaluate`: the protocol, and the options protocols take.

An option that a protocol does not take is refused, so none has a default
here; the help says which protocols take it.
"""

import functools

from absl import flags

from launch import flags as shared_flags

_PAIR_LISTS = ('lfw', 'agedb30', 'cfp_ff', 'cfp_fp', 'calfw', 'cplfw', 'pairs')
PROTOCOLS = (
  *_PAIR_LISTS,
  'lfw_all',
  'folder',
  'lfw_closed',
  'lfw_open',
  'lfw_two_stage',
  'megaface',
  'ijbb',
  'ijbc',
)
MODES = ('insightface', 'sphereface', 'plain', 'centred', 'all')


@functools.cache
def protocol() -> flags.FlagHolder[str]:
  """What is measured."""
  return flags.DEFINE_enum(
    'protocol', 'lfw', PROTOCOLS, 'What to measure, and how.'
  )


@functools.cache
def mode() -> flags.FlagHolder[str]:
  """How embeddings become scores."""
  return flags.DEFINE_enum(
    'mode',
    None,
    MODES,
    'How embeddings become scores (default insightface; of lfw_two_stage '
    'plain).',
  )


_TEXTS = {
  'save_embeddings': 'Where to keep the embeddings (.npz).',
  'attributes': (
    "Pair lists: CSV or TSV with a column 'name' (an image, or a person's "
    'folder) and attributes: rates by group.'
  ),
  'robustness': (
    'Pair lists with a model: all, or some of '
    'blur,jpeg,downsample,brightness,occlusion,mask: damages the second image '
    'of each pair.'
  ),
  'gallery': (
    "lfw_closed, lfw_open, lfw_two_stage: list 'path identity' of enrolled "
    'images, with --probes instead of a split.'
  ),
  'probes': (
    "lfw_closed, lfw_open, lfw_two_stage: list 'path identity' of images to "
    'look up.'
  ),
  'blufr': (
    'lfw_all: blufr_lfw_config.mat, for the ten trials of BLUFR beside all '
    'pairs.'
  ),
  'distractors': (
    'megaface: images for the model, embeddings (.npz) or feature files.'
  ),
  'probe_list': (
    'megaface: the probes (JSON of the devkit or text; default: all of the '
    'source).'
  ),
  'distractor_list': 'megaface: the distractors, in order (default: all).',
  'probe_noise': (
    'megaface: list of probes that show somebody else; with it the refined '
    'result stands beside the original one.'
  ),
  'distractor_noise': 'megaface: list of distractors that are none; likewise.',
  'feature_suffix': (
    "megaface: end of the distractors' feature files, where there are those "
    'of several algorithms.'
  ),
  'save_features': (
    "megaface: new folder for all features in the devkit's files."
  ),
  'lists': (
    'ijbb, ijbc: folder of the list files (default: meta in or beside the '
    'data).'
  ),
  'template': (
    "ijbb, ijbc: N, D and F of templates: N1 keeps the embedding's norm, D1 "
    "multiplies by the detector's score, F1 adds the mirror image (default "
    'N1D1F1; N1D1F0 with --mode=plain).'
  ),
}
_NUMBERS = {  # the least, and the help
  'robustness_pairs': (
    2,
    'Pairs that --robustness damages, the first of each kind in every fold '
    '(default 1,000).',
  ),
  'num_distractors': (1, 'megaface: how many distractors, the first.'),
  'images_per_person': (
    2,
    'lfw_all, folder: images of a person that count, the first by name '
    '(default: 10 for lfw_all, all for folder).',
  ),
  'bootstrap': (
    100,
    'lfw_all, folder: draws of people, for the intervals (default 1000).',
  ),
  'draws': (
    1,
    'lfw_closed, lfw_open, lfw_two_stage, folder: drawn splits that rates are '
    'averaged over (default 20; 10 for folder).',
  ),
}
_CHOICES = {
  'closed_split': (
    ('full', 'surrogate'),
    'lfw_closed, lfw_two_stage: full (first image of everybody) or surrogate '
    '(draws with the counts of the published split).',
  ),
  'same_names': (
    ('refuse', 'exclude', 'keep'),
    'megaface: what to do with distractors whose folder has the name of a '
    "probe's (default refuse).",
  ),
  'refined_rule': (
    ('insightface', 'facex_zoo'),
    'megaface: how noise is taken out (default insightface).',
  ),
  'task': (
    ('1:1', '1:N', 'both'),
    'ijbb, ijbc: what to measure (default: all whose lists are there).',
  ),
}


@functools.cache
def options() -> dict[str, flags.FlagHolder]:
  """All options of all protocols by name; None where not given."""
  return {
    'pairs': shared_flags.pairs(),
    'far': shared_flags.far(),
    'seed': shared_flags.seed(),
    'candidates': shared_flags.candidates(),
    'radius': shared_flags.radius(),
    'attribute_columns': flags.DEFINE_list(
      'attribute_columns',
      None,
      'Columns of --attributes to study, with commas between them (default: '
      'all).',
    ),
    'timing': flags.DEFINE_bool(
      'timing',
      None,
      'lfw_closed, lfw_open, lfw_two_stage: also time extraction and matching '
      'image by image.',
    ),
    **{
      name: flags.DEFINE_string(name, None, text)
      for name, text in _TEXTS.items()
    },
    **{
      name: flags.DEFINE_integer(name, None, text, lower_bound=least)
      for name, (least, text) in _NUMBERS.items()
    },
    **{
      name: flags.DEFINE_enum(name, None, list(values), text)
      for name, (values, text) in _CHOICES.items()
    },
  }
