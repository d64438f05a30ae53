"""Why MobileFaceNet weighs positions: what its last units look at.

  python -m benchmarks.receptive_field --model=out/xiaoccer --output=fields.png
  python -m benchmarks.receptive_field --model=out/xiaoccer,out/insightface \\
    --data=../shared/faces/lfw_112.zip --num_faces=256 --output=fields.png

For every unit of the map before the global depthwise convolution: its
effective receptive field over aligned faces (benchmarks/effective_fields.py
says what that is), how wide it is, and how much of it the border of the image
takes away; and how much energy the learned global kernel gives the unit. Prints
the numbers; --output draws them over the mean face.
"""

from absl import flags

from launch import flags as shared_flags
from launch import run

MODEL = shared_flags.model()
DATA = shared_flags.data()
OUTPUT = shared_flags.output()
NUM_FACES = flags.DEFINE_integer(
  'num_faces',
  256,
  'Faces to average over, spread over the data.',
  lower_bound=1,
)
DEFAULT_DATA = '../shared/faces/lfw_112.zip'


def main(argv):
  """Measures every model, draws the figure and returns the numbers."""
  del argv
  from benchmarks import field_figure, field_study
  from facejax import files
  from facejax.errors import UsageError
  from facejax.evaluation.reporting.canvas import render

  if not MODEL.value:
    raise UsageError('--model: give a model directory, or several with commas')
  crops = field_study.read_faces(DATA.value or DEFAULT_DATA, NUM_FACES.value)
  studies = [field_study.study(path, crops) for path in MODEL.value.split(',')]
  if OUTPUT.value:
    figure = field_figure.field_figure([study.drawn for study in studies])
    files.write_bytes(OUTPUT.value, render(figure))
  return {
    'num_images': len(crops),
    'data': DATA.value or DEFAULT_DATA,
    'models': [study.numbers for study in studies],
    'figure': OUTPUT.value,
  }


if __name__ == '__main__':
  run.run(main)
