r"""Evaluates a model, or saved embeddings, by a protocol of the field.

Face verification on LFW, all 6,000 pairs of View 2 in ten folds (the list is
the lfw_pairs.txt beside the data, unless --pairs gives one, of View 1 too):

  python -m launch.evaluate --model=out/model --protocol=lfw \
    --data=../shared/faces/lfw_112.zip --mode=sphereface

Your own pairs, lines of 'path_a path_b 0|1' (1: the same person), with paths
as in the folder, zip or tar of aligned 112 x 112 crops:

  python -m launch.evaluate --model=out/model --protocol=pairs \
    --data=my_faces --pairs=my_pairs.txt

A verification set of InsightFace, a .bin, brings its own pairs, in ten folds:

  python -m launch.evaluate --model=out/model --protocol=pairs \
    --data=agedb_30.bin

Embeddings of another system, an .npz of names [N], plain [N, D] and, for the
mirrored images, flip [N, D], in every mode that they allow:

  python -m launch.evaluate --embeddings=theirs.npz --protocol=lfw \
    --pairs=../shared/faces/lfw_pairs.txt --mode=all --output=out/theirs

Modes (the same embeddings differ by up to half a point among them):
  insightface  image + mirror image, normalised, squared distance
  sphereface   [image, mirror image] minus the test folds' own mean, cosine;
               transductive, and marked so
  plain        the image alone, cosine
  centred      plain minus the mean of training faces kept in the model
  all          each of these that is possible, from one pass over the images

The result is the JSON object on the last line; the same in results.json, with
roc.png and histogram.png, in --output (MODEL-evaluation/PROTOCOL_MODE).
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_DATA = shared_flags.data()
_OUTPUT = shared_flags.output()
_BATCH_SIZE = shared_flags.batch_size()
_EMBEDDINGS = shared_flags.embeddings()
_PROTOCOL = flags.DEFINE_enum(
  'protocol', 'lfw', ['lfw', 'pairs'], 'What to measure, and how.'
)
_PAIRS = shared_flags.pairs()
_MODE = flags.DEFINE_enum(
  'mode',
  'insightface',
  ['insightface', 'sphereface', 'plain', 'centred', 'all'],
  'How embeddings become scores.',
)
_SAVE_EMBEDDINGS = flags.DEFINE_string(
  'save_embeddings', None, 'Where to keep the embeddings (.npz).'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Evaluates by the flags; returns the result."""
  from facejax.errors import UsageError
  from facejax.evaluation import protocols, sources

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  source = sources.open_source(
    model=_MODEL.value,
    data=_DATA.value,
    embeddings=_EMBEDDINGS.value,
    batch_size=_BATCH_SIZE.value,
  )
  report = protocols.evaluate(
    _PROTOCOL.value,
    source,
    pairs=_PAIRS.value,
    mode=_MODE.value,
    save_embeddings=_SAVE_EMBEDDINGS.value,
  )
  place = f'{source.name}-evaluation/{_PROTOCOL.value}_{_MODE.value}'
  return report.write(_OUTPUT.value or place)


if __name__ == '__main__':
  run.run(main)
