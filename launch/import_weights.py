r"""Makes a model of weights that others trained.

A checkpoint of PyTorch (torch.save of a state dict, or of a dict that holds
one; or safetensors). No code of the file runs, and PyTorch is not needed:

  python -m launch.import_weights --format=pytorch --output=out/xiaoccer \
    --input=../shared/weights/xiaoccer_mobilefacenet_112x96/068.ckpt

A model of MXNet, with its symbol, which may be left out where it stands beside
the weights:

  python -m launch.import_weights --format=mxnet --output=out/y1 \
    --input=../shared/weights/insightface_y1_mxnet/model-0000.params \
    --symbol=../shared/weights/insightface_y1_mxnet/model-symbol.json

ONNX. The file's own graph and the imported model embed one image, and have to
agree (max_abs_error):

  python -m launch.import_weights --format=onnx --input=w600k_mbf.onnx \
    --output=out/mbf

--architecture=auto looks for the net that the layers fit, in their order and by
their shapes. Given by name, it says where the first one differs.

Pixels are normalised as the graph does it itself; where it does not,
(x - --mean) / --scale. 127.5 and 128 are assumed, and the result says so.
arcface_torch trains with --scale=127.5, AdaFace with --color_order=BGR.

--calibration is a prepared set (launch.prepare_data) of people that the net was
not trained on: it gives launch.verify its thresholds, and --mode=centred of
launch.evaluate its mean. Without it the model has neither:

  python -m launch.prepare_data --source=folder --align=none \
    --input=../shared/faces/train_112_celeba.zip --output=out/people
  python -m launch.import_weights --format=pytorch --output=out/xiaoccer \
    --input=../shared/weights/xiaoccer_mobilefacenet_112x96/068.ckpt \
    --calibration=out/people --overwrite

The result is the JSON object on the last line; with the place of every layer
also in import.json of the model.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_INPUT = shared_flags.input_paths()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_BATCH_SIZE = shared_flags.batch_size()
_FORMAT = flags.DEFINE_enum(
  'format', None, ['onnx', 'pytorch', 'mxnet'], 'Of the weights.'
)
_SYMBOL = flags.DEFINE_string(
  'symbol', None, 'The graph of MXNet weights (PREFIX-symbol.json).'
)
_ARCHITECTURE = flags.DEFINE_string(
  'architecture', 'auto', "A model's name, or auto to look for it."
)
_MEAN = flags.DEFINE_float(
  'mean', None, 'Subtracted from pixels; 127.5 if neither it nor the graph say.'
)
_SCALE = flags.DEFINE_float(
  'scale', None, 'Divides them then; 128 if neither it nor the graph say.'
)
_COLOR_ORDER = flags.DEFINE_enum(
  'color_order', 'RGB', ['RGB', 'BGR'], 'That the net was trained with.'
)
_CALIBRATION = shared_flags.calibration()


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Imports the weights; returns the report."""
  from facejax.errors import UsageError
  from facejax.importing import importer

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _FORMAT.value or len(_INPUT.value) != 1 or not _OUTPUT.value:
    raise UsageError('--format, --output and --input, one file, are needed')
  report = importer.import_weights(
    _INPUT.value[0],
    format=_FORMAT.value,
    symbol=_SYMBOL.value,
    architecture=_ARCHITECTURE.value,
    output=_OUTPUT.value,
    mean=_MEAN.value,
    scale=_SCALE.value,
    color_order=_COLOR_ORDER.value,
    calibration=_CALIBRATION.value,
    overwrite=_OVERWRITE.value,
    batch_size=_BATCH_SIZE.value,
  )
  print(
    f'{report["architecture"]}: {report["matched"]} layers have their place, '
    f'{len(report["left_behind"])} are left behind',
    *report['assumptions'],
    sep='\n  ',
    file=sys.stderr,
  )
  return report


if __name__ == '__main__':
  run.run(main)
