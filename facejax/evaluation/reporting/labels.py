"""What the keys of JSON results are called on a page.

These tables are all that a page knows of protocols.
"""

DIGITS = {'auc': 5}  # a share with this many digits; others are percent

# Shares of 1 under their own key: the name in a table.
SHARES = {
  'accuracy': 'Accuracy',
  'rank1': 'Rank 1',
  'rank5': 'Rank 5',
  'rank10': 'Rank 10',
  'rank1_lower_row': 'Rank 1, ties to the lower row',
  'recall': 'Recall of stage 1',
  'eer': 'Equal error rate',
  'auc': 'AUC',
}
LAST_SHARES = ('eer', 'auc')  # behind those by a rate
# Shares by a rate or a number: the name in a table.
FAMILIES = {
  'tar_at_far': 'TAR at FAR {}',
  'tar_at_nearest_far': 'TAR at nearest FAR {}',
  'fold_tar_at_far': 'TAR at FAR {}, mean of folds',
  'dir_at_far': 'DIR at FAR {}',
  'dir_at_nearest_far': 'DIR at nearest FAR {}',
  'tpir_at_fpir': 'TPIR at FPIR {}',
  'tpir_at_most_fpir': 'TPIR at most FPIR {}',
  'rank1_by_distractors': 'Rank 1, {} distractors',
  'rank1_at_candidates': 'Rank 1, {} candidates',
  'recall_at_candidates': 'Recall, {} candidates',
  'rank1_lower_row_by_vectors': 'Rank 1, ties to the lower row, {} vectors',
}
# By what else the deviations and intervals of a family are called. The first
# of these in a result is the one that its `thresholds` speak of.
SHORT = {'tar_at_far': 'tar', 'dir_at_far': 'dir', 'tpir_at_fpir': 'tpir'}
CMC_RANKS = (1, 5, 10, 20)
# Where a share is a mapping, the first of these is the share itself.
VALUE_KEYS = ('mean', 'value', 'tar', 'dir', 'tpir', 'share', 'rate')
# The share that a bare `std` or `interval_95` speaks of: the first present.
MAIN = ('accuracy', 'rank1')

# Rates that a page opens with and tables of several protocols show, by how
# their label begins, and which of a family: as many as are named, those of the
# names that there are and then the smallest. By a protocol, or by the key of a
# part of a result.
HEADLINES = {
  'Accuracy': (),
  'Rank 1': (),
  'TAR at FAR': ('1e-4', '1e-6'),
  'DIR at FAR': ('1e-2',),
  'TPIR at FPIR': ('1e-2',),
  'Equal error rate': (),
  'AUC': (),
}
OWN_HEADLINES = {
  'megaface': {'TAR at FAR': ('1e-6',)},
  'refined': {'TAR at FAR': ('1e-6',)},
  'ijbb': {'TAR at FAR': ('1e-4',)},
  'ijbc': {'TAR at FAR': ('1e-4',)},
  'blufr': {'TAR at FAR': ('1e-3',)},
}

PROTOCOLS = {
  'lfw': 'LFW',
  'agedb30': 'AgeDB-30',
  'cfp_ff': 'CFP-FF',
  'cfp_fp': 'CFP-FP',
  'calfw': 'CALFW',
  'cplfw': 'CPLFW',
  'pairs': 'list of pairs',
  'lfw_all': 'LFW, all pairs',
  'folder': 'folder of people',
  'lfw_closed': 'LFW, closed set',
  'lfw_open': 'LFW, open set',
  'lfw_two_stage': 'LFW, two-stage search',
  'megaface': 'MegaFace',
  'ijbb': 'IJB-B',
  'ijbc': 'IJB-C',
}
ANY_SET = ('pairs',)  # protocols of sets that nobody published
# What `official` vouches for: a list, or all images of a set, where they are
# split in a way of our own.
PUBLISHED = 'the published list'
WHOLE_SETS = dict.fromkeys(
  ('lfw_all', 'lfw_closed', 'lfw_two_stage'), 'all of LFW'
)
WHOLE_SPLITS = (None, 'full')  # other splits leave images out

# What the rates at the top of a result are of, where parts of it have others.
TOP = {
  'lfw_all': 'all pairs',
  'folder': 'all pairs',
  'megaface': 'original lists',
  'ijbb': '1:1',
  'ijbc': '1:1',
}
# Parts of a result; any other is called by its key.
PARTS = {
  'modes': '',
  'identification': '',
  'closed_set': 'closed set',
  'open_set': 'open set',
  'refined': 'refined lists',
  'blufr': 'BLUFR',
  'concatenated': '1:N, concatenated galleries',
  'averaged': '1:N, averaged galleries',
  'float_search': 'float search',
  'hamming_alone': 'Hamming alone',
  'asymmetric_alone': 'asymmetric alone',
  'two_stage_hamming': 'Hamming, then cosine',
  'two_stage_asymmetric': 'asymmetric, then cosine',
  'radius_rule': 'within a Hamming radius, then cosine',
}
# Parts that have tables of their own.
STUDIES = ('attributes', 'attribute_table', 'robustness', 'robustness_of')
# What the lines of a paired test are of; else what they are called.
PAIRED = {'lfw_all': 'TAR at FAR {}', 'folder': 'TAR at FAR {}'}

FACTS = {
  'protocol': 'Protocol',
  'set': 'Set',
  'split': 'Split',
  'view': 'View',
  'mode': 'Mode',
  'transductive': 'Transductive',
  'official': 'The published list',  # or the whole set
  'surrogate': 'Surrogate of a published split',
  'data': 'Data',
  'pairs': 'Pair list',
  'lists': 'Lists',
  'tasks': 'Tasks',
  'gallery': 'Gallery list',
  'probes': 'Probe list',
  'distractors': 'Distractors',
  'embeddings': 'Embeddings',
  'model': 'Model',
  'packed': 'Packed',
  'preprocessing': 'Preprocessing',
  'template': 'Templates',
  'images_per_person': 'Images a person, at most',
  'measure': 'Measure',
  'source': 'As in',
  'rule': 'Rule of the lists',
  'far_rule': 'Rule for a FAR',
  'fpir_rule': 'Rule for a FPIR',
  'tie_rule': 'Rule for ties',
  'smallest_far': 'Smallest FAR',
  'bootstrap': 'Bootstrap',
  'seed': 'Seed',
  'draws': 'Draws',
  'skipped': 'Left out',
  'attribute_table': 'Table of attributes',
  'tie_rules': 'Rules for ties',
  'hash_bits': 'Bits of a code',
  'candidates': 'Candidates',
  'smallest_candidates': 'Candidates for 99.9 % of float search',
  'radius': 'Hamming radius',
  'mean_candidates': 'Candidates, mean',
  'max_candidates': 'Candidates, at most',
  'equals_float_search': 'All as candidates give float search exactly',
  'codes': 'Bits of the gallery',
  'bytes_per_template': 'Bytes of a template',
  'gallery_bytes': 'Bytes of the gallery',
  'timing': 'Timing',
  'note': 'Note',
  'date': 'Date',
}
# Facts whose values are words of ours, and what some of these mean.
WORDS = {
  'at_most': 'at most the rate asked for; equal scores are refused',
  'mate_first': 'of equal scores the mate is first',
  'insightface': 'InsightFace',
  'facex_zoo': 'FaceX-Zoo',
}
WORD_FACTS = ('measure', 'rule', 'far_rule', 'fpir_rule', 'tie_rule')
# Counts, of which a key begins with `num_`; any other is called by its key.
COUNTS = {
  'num_genuine': 'Genuine comparisons',
  'num_impostors': 'Impostor comparisons',
  'num_gallery': 'Gallery size',
  'num_distractors': 'Number of distractors',
  'num_excluded_distractors': 'Distractors left out',
  'num_probe_noise': 'Probes that are noise',
  'num_distractor_noise': 'Distractors that are noise',
  'num_unknown_noise': 'Noise entries that name no image',
}
TIMES = {
  'total_s': 'S, all, in seconds',
  'extraction_s': 'S1, extraction, in seconds',
  'matching_s': 'S2, matching, in seconds',
  'extraction_ms_per_image': 'extraction of an image, in ms',
  'matching_us_per_probe': 'matching of a probe, in µs',
  'stage_1_us_per_probe': 'stage 1 of a probe, in µs',
  'stage_2_us_per_probe': 'stage 2 of a probe, in µs',
}


def words(key: str) -> str:
  """A key for people: 'num_folds' is 'folds'."""
  return TIMES.get(key, key.removeprefix('num_').replace('_', ' '))


def protocol_name(protocol: str) -> str:
  """What a protocol is called: 'lfw_all' is 'LFW, all pairs'."""
  return PROTOCOLS.get(protocol, words(protocol))


def part_name(key: str) -> str:
  """What a part of a result is called; '' of one that adds nothing."""
  return PARTS.get(key, words(key))
