"""Speed of MobileFaceNet's training step against PyTorch.

  python -m benchmarks.train_step
  python -m benchmarks.train_step --batch_sizes=32 --threads=2 --profile
  python -m benchmarks.train_step --sides=facejax_shifts,facejax_grouped
  python -m benchmarks.train_step --width=0.5 --input_size=64

A step is forward, backward and SGD with the ArcFace loss, from the same
weights on the same uint8 images, which stay in memory; that the losses of the
first step agree is part of the result. A round times everything once; medians
over the rounds are shown, and ratios are medians of the ratios within rounds.
Every number of threads is measured in a process that owns as many cores.

  facejax             as launch.train runs it: on CPU a device a thread
  facejax_one_device  one device, XLA's own threads
  facejax_shifts      like facejax, depthwise layers as shifted multiply-adds
  facejax_grouped     like facejax, as grouped convolutions (slow on CPU)
  torch               eager, channels last
  torch_compiled      torch.compile, channels last

The paths `facejax_shifts` and `facejax_grouped` are measured if --sides names
them. On a GPU: bfloat16, PyTorch with autocast. Needs requirements-bench.txt.
"""

from benchmarks import settings
from launch import run

SIDES = ('facejax', 'facejax_one_device', 'torch', 'torch_compiled')
PATHS = ('facejax_shifts', 'facejax_grouped')


def main(argv):
  """Measures and prints everything."""
  del argv
  from benchmarks import reporting, train_step_sides

  wanted = settings.from_flags(SIDES, PATHS)
  results = settings.measure_all(train_step_sides.measure, wanted)
  return reporting.report('training step', results)


if __name__ == '__main__':
  run.run(main)
