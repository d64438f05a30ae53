r"""Evaluates a model, or saved embeddings, by a protocol of the field.

Face verification on LFW, all 6,000 pairs of View 2 in ten folds (the list is
the lfw_pairs.txt beside the data, unless --pairs gives one, of View 1 too):

  python -m launch.evaluate --model=out/model --protocol=lfw \
    --data=../shared/faces/lfw_112.zip --mode=sphereface

The number that tells good models apart, all 55 million pairs of LFW:

  python -m launch.evaluate --model=out/model --protocol=lfw_all \
    --data=../shared/faces/lfw_112.zip

Your own people, in a folder of IDENTITY/image.jpg, aligned 112 x 112: all
pairs with the threshold for each false-accept rate, closed and open set:

  python -m launch.evaluate --model=out/model --protocol=folder --data=my_faces

Your own pairs, lines of 'path_a path_b 0|1' (1: the same person):

  python -m launch.evaluate --model=out/model --protocol=pairs \
    --data=my_faces --pairs=my_pairs.txt

A verification set of InsightFace, a .bin, brings its own pairs, in ten folds:

  python -m launch.evaluate --model=out/model --protocol=agedb30 \
    --data=agedb_30.bin

Who is it, on LFW: closed set with the first image of everybody enrolled, and
open set with drawn splits:

  python -m launch.evaluate --model=out/model --protocol=lfw_closed \
    --data=../shared/faces/lfw_112.zip --timing
  python -m launch.evaluate --model=out/model --protocol=lfw_open \
    --data=../shared/faces/lfw_112.zip

The same closed set by a model with a hash layer: by its codes, by floats, and
by codes that choose candidates for floats:

  python -m launch.evaluate --model=out/hash --protocol=lfw_two_stage \
    --data=../shared/faces/lfw_112.zip --candidates=100 --timing

MegaFace, or any probes against any distractors (images, embeddings, or the
devkit's feature files), and IJB:

  python -m launch.evaluate --model=out/model --protocol=megaface \
    --data=facescrub_112 --distractors=megaface_112 --mode=plain
  python -m launch.evaluate --model=out/model --protocol=ijbc --data=IJBC

Embeddings of another system, an .npz of names [N], plain [N, D] and, for the
mirrored images, flip [N, D], in every mode that they allow; with --data the
report shows the images:

  python -m launch.evaluate --embeddings=theirs.npz --protocol=lfw \
    --pairs=../shared/faces/lfw_pairs.txt --mode=all --output=out/theirs

Modes (the same embeddings differ by up to half a point among them):
  insightface  image + mirror image, normalised, squared distance
  sphereface   [image, mirror image] minus the test set's own mean, cosine;
               transductive, and marked so
  plain        the image alone, cosine
  centred      plain minus the mean of training faces kept in the model
  all          each of these that is possible, from one pass over the images
               (pair lists only)

The result is the JSON object on the last line; the same in results.json, with
pictures and report.html to read, in --output (MODEL-evaluation/PROTOCOL_MODE).
launch.compare puts reports of several models on one page. docs/evaluation.md
says what each protocol measures, and how numbers relate to other tools'.
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import evaluation_flags, run
from launch import flags as shared_flags

_MODEL = shared_flags.model()
_DATA = shared_flags.data()
_OUTPUT = shared_flags.output()
_BATCH_SIZE = shared_flags.batch_size()
_EMBEDDINGS = shared_flags.embeddings()
_PROTOCOL = evaluation_flags.protocol()
_MODE = evaluation_flags.mode()
_OPTIONS = evaluation_flags.options()


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Evaluates by the flags; returns the result."""
  from facejax.errors import UsageError
  from facejax.evaluation import protocols, sources
  from facejax.evaluation.reporting.report import check_place
  from facejax.parallel import mesh

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  output = _OUTPUT.value
  if output is not None:
    check_place(output)
  mesh.split_cpu(_BATCH_SIZE.value)
  source = sources.open_source(
    model=_MODEL.value,
    data=_DATA.value,
    embeddings=_EMBEDDINGS.value,
    batch_size=_BATCH_SIZE.value,
  )
  if output is None:
    mode = _MODE.value or protocols.default_mode(_PROTOCOL.value)
    output = f'{source.name}-evaluation/{_PROTOCOL.value}_{mode}'
    check_place(output)
  report = protocols.evaluate(
    _PROTOCOL.value,
    source,
    mode=_MODE.value,
    **{name: flag.value for name, flag in _OPTIONS.items()},
  )
  return report.write(
    output,
    command=shlex.join(['python', '-m', 'launch.evaluate', *sys.argv[1:]]),
  )


flags.adopt_module_key_flags(evaluation_flags)

if __name__ == '__main__':
  run.run(main)
