"""Scored pairs for property tests."""

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st


@st.composite
def scored_pairs(draw):
  """Few distinct scores, so that ties are everywhere."""
  count = draw(st.integers(2, 40))
  scores = draw(
    hnp.arrays(np.int64, count, elements=st.integers(-4, 4))
  ).astype(np.float64)
  same = draw(hnp.arrays(bool, count))
  same[0], same[-1] = True, False
  return scores / 4, same
