"""What confused pairs are called on a page."""

# Titles and texts of confused pairs, impostors and genuine ones.
CONFUSED = (
  (
    'Impostors most like each other',
    'Two people whose images score as one, the worst first.',
  ),
  (
    'Genuine pairs least like each other',
    'One person whose images score as two, the worst first.',
  ),
)
OWN_CONFUSED = {
  'lfw_closed': (
    (
      'Taken for somebody else',
      'Probes with whom they were taken for, the clearest errors first.',
    ),
    (
      'The mates they missed',
      'The same probes with their own enrolled images, in the same order.',
    ),
  ),
  'lfw_two_stage': (
    (
      'Taken for somebody else',
      'Probes with the wrong answers of Hamming and then cosine, first those '
      'that float search gets right: the codes lost them.',
    ),
    (
      'The mates they missed',
      'The same probes with their own enrolled images, in the same order.',
    ),
  ),
  'lfw_open': (
    (
      'Taken for somebody else',
      'Probes that score highest with somebody else, enrolled themselves or '
      'not, the highest score first.',
    ),
    (
      'The mates they missed',
      'Those of the same probes who are enrolled, with their own enrolled '
      'images, in the same order.',
    ),
  ),
  'megaface': (
    (
      'Taken for somebody else',
      'Probes with distractors that beat a mate, the highest score first.',
    ),
    (
      'The mates they missed',
      'Probes with mates that a distractor beat, the lowest score first.',
    ),
  ),
}
