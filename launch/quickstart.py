"""The whole of facejax in a few minutes, on faces that a program draws.

  python -m launch.quickstart --output=out/quickstart

Draws synthetic people, trains a small MobileFaceNet with ArcFace, ends in
ternary training, packs the model in 2 bits a weight, and verifies pairs of
people that it never saw, before and after. Writes below --output: data/
(the training set), run/ (checkpoints, metrics, model_float/, model/), roc.png
and quickstart.json. The recipe is configs/quickstart.py.

The faces are drawn: the numbers show that the machinery works and say nothing
about real faces.
"""

import shutil
import sys

from absl import flags

from configs import quickstart as recipe
from launch import flags as shared_flags
from launch import run

_OUTPUT = shared_flags.output()
_SMOKE = flags.DEFINE_bool('smoke', False, 'A handful of steps, as a test.')
flags.set_default(_OUTPUT, 'out/quickstart')

_RESULT = 'quickstart.json'
_PARTS = ('data', 'run', 'roc.png', _RESULT)


def _clear(output) -> None:
  """Removes an earlier quickstart; refuses a folder of anything else."""
  from facejax.errors import UsageError

  if not output.exists():
    return
  found = {entry.name for entry in output.iterdir()}
  if not found <= set(_PARTS):
    raise UsageError(
      f'{output} holds {sorted(found - set(_PARTS))[0]}, which is not from a '
      'quickstart: choose another --output'
    )
  shutil.rmtree(output)


def _verify(faces, model_dirs):
  """Verification of each model on pairs of the faces, and its bytes."""
  import numpy as np

  import facejax
  from facejax.compression.ledger import make_ledger
  from facejax.evaluation.sampling import sample_pairs
  from facejax.evaluation.verification import verify_pairs

  records = [faces[index] for index in range(len(faces))]
  images = np.stack([record['image'] for record in records])
  labels = np.array([record['label'] for record in records])
  pairs = sample_pairs(labels, num_pairs=2000, seed=0)
  results, sizes = {}, {}
  for name, path in model_dirs.items():
    model = facejax.load_model(path)
    plain, flip = (
      model.embed(np.ascontiguousarray(view), normalize=False)
      for view in (images, images[:, :, ::-1])
    )
    results[name] = verify_pairs(plain, flip, *pairs, mode='insightface')
    sizes[name] = make_ledger(model.variables).totals['total']
  return results, sizes


def _print_table(results, sizes, images_per_second: float) -> None:
  """The result for people; the JSON line is for programs."""
  print(f'\n{"model":<8}{"accuracy":>10}{"EER":>8}{"bytes":>10}')
  for name, result in results.items():
    print(
      f'{name:<8}{result.accuracy:>10.2%}{result.eer:>8.2%}{sizes[name]:>10,}'
    )
  print(f'training: {images_per_second:.0f} images/s (synthetic faces)\n')


def main(argv):
  """Prepares, trains, packs, verifies; returns the table as JSON."""
  del argv
  from facejax import files
  from facejax.data.synthetic import SyntheticFaces
  from facejax.evaluation.reporting import canvas, figures
  from facejax.parallel import mesh
  from facejax.preparation import prepare, sources
  from facejax.training import loop

  output = files.Path(_OUTPUT.value)
  _clear(output)
  config = recipe.get_config('smoke' if _SMOKE.value else '')
  mesh.split_cpu(config.data.batch_size)
  people = (8, 8) if _SMOKE.value else (160, 25)
  print('1/3 drawing synthetic people', file=sys.stderr)
  prepare.prepare(sources.SyntheticSource(*people), output / 'data')
  config.data.path = str(output / 'data')
  print('2/3 training, first float, then ternary', file=sys.stderr)
  trained = loop.train(config, output / 'run')
  print('3/3 verifying people never seen in training', file=sys.stderr)
  strangers = SyntheticFaces(60, 10, first_identity=100_000)
  results, sizes = _verify(
    strangers,
    {'float': trained['model_float_dir'], 'packed': trained['model_dir']},
  )
  figure = figures.roc_figure(
    {name: result.roc_curve() for name, result in results.items()},
    title='Synthetic faces, unseen people',
  )
  files.write_bytes(output / 'roc.png', canvas.render(figure))
  _print_table(results, sizes, trained['images_per_second'])
  summary = {
    'data': 'synthetic faces',
    'accuracy_float': results['float'].accuracy,
    'accuracy_packed': results['packed'].accuracy,
    'bytes_float': sizes['float'],
    'bytes_packed': sizes['packed'],
    'images_per_second': trained['images_per_second'],
    'model_dir': trained['model_dir'],
    'roc': str(output / 'roc.png'),
  }
  files.write_json(output / _RESULT, summary)
  return summary


if __name__ == '__main__':
  run.run(main)
