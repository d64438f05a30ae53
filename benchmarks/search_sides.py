"""What the benchmark of the search times: our ways to search, and faiss's."""

from typing import NamedTuple

from benchmarks.search_gallery import Faces, pack_signs
from benchmarks.search_timing import Search
from facejax.search import scan
from facejax.search.compiled import num_threads
from facejax.search.vectors import StoredVectors

TOP_K = 100
# Of the stages compared with faiss.
BITS = 128


class TwoStage(NamedTuple):
  """One way to search in two stages.

  Attributes:
    stage: 'hamming' or 'asymmetric', what the first compares by.
    bits: of a code.
    candidates: c, rows that the second stage scores.
  """

  stage: str
  bits: int
  candidates: int

  @property
  def name(self) -> str:
    """Such as hamming_512_c20."""
    return f'{self.stage}_{self.bits}_c{self.candidates}'


def first_stage(faces: Faces, stage: str, bits: int, count: int) -> Search:
  """The first stage alone: codes of probes in, rows out."""
  codes, logits = faces.codes_of(bits), faces.logits_of(bits)
  packed = pack_signs(logits)

  def search(probes: slice):
    if stage == 'hamming':
      return scan.top_hamming(packed[probes], codes, count, platform='cpu')
    return scan.top_asymmetric(logits[probes], codes, count, platform='cpu')

  return search


def two_stage(faces: Faces, vectors: StoredVectors, way: TwoStage) -> Search:
  """Both stages: the best by cosine among the candidates."""
  first = first_stage(faces, way.stage, way.bits, way.candidates)

  def search(probes: slice):
    _, rows = first(probes)
    return scan.rank_candidates(
      faces.probes[probes], vectors, rows, min(TOP_K, way.candidates)
    )

  return search


def float_search(faces: Faces, vectors: StoredVectors) -> Search:
  """Exhaustive search by cosine."""

  def search(probes: slice):
    return scan.top_cosine(faces.probes[probes], vectors, TOP_K, platform='cpu')

  return search


def faiss_sides(faces: Faces) -> dict[str, Search]:
  """IndexBinaryFlat and IndexFlatIP, on as many threads as ours and on one.

  On a busy machine one thread may be faster, as it waits for no other.

  Raises:
    ImportError: faiss is not installed.
  """
  import faiss

  binary = faiss.IndexBinaryFlat(BITS)
  binary.add(faces.codes_of(BITS))
  flat = faiss.IndexFlatIP(faces.gallery.shape[1])
  flat.add(faces.gallery)
  packed = pack_signs(faces.logits_of(BITS))

  def on_threads(count: int, search: Search) -> Search:
    def searched(probes: slice):
      faiss.omp_set_num_threads(count)
      return search(probes)

    return searched

  def hamming(probes: slice):
    return binary.search(packed[probes], TOP_K)

  def cosine(probes: slice):
    return flat.search(faces.probes[probes], TOP_K)

  return {
    'faiss_hamming': on_threads(num_threads(), hamming),
    'faiss_hamming_1_thread': on_threads(1, hamming),
    'faiss_float': on_threads(num_threads(), cosine),
    'faiss_float_1_thread': on_threads(1, cosine),
  }
