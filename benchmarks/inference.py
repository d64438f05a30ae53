"""Speed of MobileFaceNet's forward pass against onnxruntime and PyTorch.

  python -m benchmarks.inference
  python -m benchmarks.inference --batch_sizes=32 --threads=2 --profile
  python -m benchmarks.inference --sides=facejax,onnxruntime --repeats=21
  python -m benchmarks.inference --output=benchmarks/results/inference.json

All sides compute the same net with the same weights, BatchNorm folded, from
images in memory, each in the layout it likes; how far their embeddings are
from ours is part of the result. A round times everything once; medians over
the rounds are shown, and ratios are medians of the ratios within rounds. Every
number of threads is measured in a process that owns as many cores.

  facejax            jitted, one device, XLA's own threads
  facejax_split      the batch split over a CPU device a thread
  facejax_unfolded   one device, BatchNorm as in training
  onnxruntime        all optimisations of the graph
  torch              eager, channels last
  torch_compiled     torch.compile with frozen weights, channels last

On a GPU: bfloat16, PyTorch with autocast, and the share of the memory
bandwidth's floor that we reach. Needs requirements-bench.txt.
"""

from benchmarks import settings
from launch import run

SIDES = (
  'facejax',
  'facejax_split',
  'facejax_unfolded',
  'onnxruntime',
  'torch',
  'torch_compiled',
)


def main(argv):
  """Measures and prints everything."""
  del argv
  from benchmarks import inference_sides, reporting

  wanted = settings.from_flags(SIDES)
  results = settings.measure_all(inference_sides.measure, wanted)
  return reporting.report('forward pass', results)


if __name__ == '__main__':
  run.run(main)
