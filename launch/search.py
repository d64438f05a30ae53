r"""Looks faces up in an index: who is it?

Aligned faces in a folder, a zip or a prepared set, against an index that
launch.build_index made; the model is the one that the index was built with:

  python -m launch.search --index=out/index --images=probes.zip \
    --output=answers.json

Two stages by default: the 100 templates with the nearest codes (--candidates,
or all within --radius bits), ranked by the cosine of their vectors. How many
candidates are needed to find what a search of all vectors finds:

  python -m launch.search --index=out/index --images=probes.zip --recall

Other ways: the first stage by the asymmetric distance (logits against stored
bits), or --method=hamming or asymmetric, codes alone, or float, all vectors.
Answers are people, each by the best template; --by_person=false gives
templates:

  python -m launch.search --index=out/index --images=probes.zip \
    --first_stage=asymmetric --candidates=50
  python -m launch.search --index=out/index --images=probes.zip --method=float

With a calibration (launch.build_index) a probe whose best score does not exceed
the threshold for a false-positive rate is unknown: of probes of strangers that
share is taken for somebody.

  python -m launch.search --index=out/index --images=probes.zip --fpir=0.01

The result is the JSON object on the last line: results (of the first ten
probes; of all in the file --output), rank1 of the probes whose people are in
the index, recall by number of candidates, timings in milliseconds: extraction
for an image, stage_1 and stage_2 for a probe. docs/search.md says more.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_IMAGES = shared_flags.images()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_BATCH_SIZE = shared_flags.batch_size()
_INDEX = flags.DEFINE_string('index', None, 'Folder of the index.')
_TOP_K = flags.DEFINE_integer(
  'top_k', 5, 'Answers for each probe.', lower_bound=1
)
_CANDIDATES = shared_flags.candidates()
_RADIUS = shared_flags.radius()
_METHOD = shared_flags.method()
_FIRST_STAGE = flags.DEFINE_enum(
  'first_stage', 'hamming', ['hamming', 'asymmetric'], 'Of two_stage.'
)
_BY_PERSON = flags.DEFINE_bool(
  'by_person', True, 'Answer with people, by the best template of each.'
)
_FPIR = flags.DEFINE_float(
  'fpir', None, 'Share of strangers that may be taken for somebody.'
)
_RECALL = flags.DEFINE_bool(
  'recall', False, 'Also compare two stages with the search of all vectors.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Looks up what the flags name."""
  from facejax import files
  from facejax.errors import UsageError
  from facejax.evaluation import index_search

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _INDEX.value or not _IMAGES.value:
    raise UsageError('give --index, which build_index made, and --images')
  output = _OUTPUT.value
  if output is not None:
    index_search.check_output(output, overwrite=_OVERWRITE.value)
  summary, results = index_search.search(
    _INDEX.value,
    _IMAGES.value,
    model=_MODEL.value,
    recall=_RECALL.value,
    batch_size=_BATCH_SIZE.value,
    top_k=_TOP_K.value,
    method=_METHOD.value,
    first_stage=_FIRST_STAGE.value,
    candidates=_CANDIDATES.value,
    radius=_RADIUS.value,
    by_person=_BY_PERSON.value,
    fpir=_FPIR.value,
  )
  if output is not None:
    files.write_json(output, {**summary, 'results': results})
  elif len(results) > index_search.SHOWN:
    files.note(
      f'the answers to {len(results) - index_search.SHOWN} more probes are not '
      'shown: --output=FILE.json keeps all'
    )
  return {**summary, 'results': results[: index_search.SHOWN], 'output': output}


if __name__ == '__main__':
  run.run(main)
