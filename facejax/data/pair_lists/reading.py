"""Pair lists of whatever form, known by what they begin with."""

import enum

from facejax.data.pair_lists.agedb import read_agedb_pairs
from facejax.data.pair_lists.cfp import read_cfp_pairs
from facejax.data.pair_lists.image_lines import read_image_lines
from facejax.data.pair_lists.lfw import read_lfw_pairs
from facejax.data.pair_lists.lines import numbered_lines
from facejax.data.pair_lists.pair_list import PairList
from facejax.data.pair_lists.paths import read_pairs
from facejax.files import Path, PathLike


class Form(enum.Enum):
  """The forms of pair lists."""

  LFW = 'the list of LFW'
  PATHS = 'lines of two paths and a label'
  IMAGE_LINES = 'two lines of an image and a label for each pair'
  CFP = 'the Protocol folder of CFP'
  AGEDB = 'the MATLAB file of AgeDB'


READERS = {
  Form.LFW: read_lfw_pairs,
  Form.PATHS: read_pairs,
  Form.IMAGE_LINES: read_image_lines,
  Form.CFP: read_cfp_pairs,
  Form.AGEDB: read_agedb_pairs,
}


def form_of(path: PathLike) -> Form:
  """The form of a list: of folder or file, suffix and first line.

  Raises:
    DataError: the list cannot be read, is no UTF-8 text, or is empty.
  """
  path = Path(path)
  if path.is_dir():
    return Form.CFP
  if path.suffix.lower() == '.mat':
    return Form.AGEDB
  words = numbered_lines(path)[0][1].split()
  if len(words) < 3 and all(word.isdecimal() for word in words):
    return Form.LFW
  if len(words) == 2 and words[1].isdecimal():
    return Form.IMAGE_LINES
  return Form.PATHS


def read_any_pairs(path: PathLike) -> PairList:
  """Reads a list of any form; the pairs of CFP by their folder in Split.

  Raises:
    DataError: says the line that does not fit.
    UsageError: a folder of CFP does not say whether FF or FP is meant.
  """
  return READERS[form_of(path)](path)
