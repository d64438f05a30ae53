"""Says whether two photos show one person.

  python -m launch.verify a.jpg b.jpg --model=out/model

In each photo (JPEG, PNG, BMP or WebP, of any size) the face nearest to the
middle is found, aligned and embedded. The two count as one person if the cosine
of their embeddings is above the model's threshold for a false-accept rate: the
share of pairs of different people that are taken for one. --far chooses among
the rates that the model was calibrated for, and names them if it is none of
those; without it the rate is 1e-3, or the nearest there is:

  python -m launch.verify a.jpg b.jpg --model=out/model --far=1e-4

A model without calibrated thresholds needs one from you. What other people's
models need differs; find yours by launch.evaluate on pairs you know:

  python -m launch.verify a.jpg b.jpg --model=out/model --threshold=0.35

Crops of 112 x 112 that are aligned already (launch.prepare_data makes such) are
taken as they are:

  python -m launch.verify a.jpg b.jpg --model=out/model --aligned

--output=report.png draws the photos, the faces found, the crops and the answer.
Look at it where an answer surprises: often another face was taken.

The result is the JSON object on the last line: same, similarity, threshold, far
(null with --threshold), far_interval (what the calibration set leaves open) and
faces, for each photo its path, num_faces found, and box (x1, y1, x2, y2), score
and landmarks of the one that was taken, in pixels of the upright photo.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_FAR = shared_flags.far()
_THRESHOLD = flags.DEFINE_float(
  'threshold', None, 'Cosine above which it is one person, instead of --far.'
)
_ALIGNED = flags.DEFINE_bool(
  'aligned', False, 'The photos are aligned 112 x 112 crops; detect nothing.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Compares the two photos; returns the verdict."""
  import facejax
  from facejax.errors import UsageError
  from facejax.evaluation import verdict_picture

  if len(argv) != 2:
    raise UsageError(
      f'two photos are needed, {len(argv)} given: launch.verify a.jpg b.jpg'
    )
  if not _MODEL.value:
    raise UsageError('--model is missing: name a model directory')
  rates = _FAR.value or []
  if len(rates) > 1:
    raise UsageError(f'--far is given {len(rates)} times: a verdict has one')
  output = _OUTPUT.value
  if output:
    verdict_picture.check_output(output, overwrite=_OVERWRITE.value)
  verdict = facejax.verify(
    facejax.load_model(_MODEL.value),
    *argv,
    far=rates[0] if rates else None,
    threshold=_THRESHOLD.value,
    aligned=_ALIGNED.value,
  )
  if output:
    verdict_picture.write_picture(output, verdict)
  return {**verdict.to_json(), 'model': _MODEL.value, 'output': output}


if __name__ == '__main__':
  run.run(main)
