"""Imports only go down, and fenced packages stay behind their fences."""

import ast
import pathlib

import chex
from absl.testing import parameterized

ROOT = pathlib.Path(__file__).resolve().parent.parent

FLOORS = {
  # Floor 0 has a step: trees and files speak of types and errors.
  'array_typing': 0, 'errors': 0, 'trees': 0.5, 'files': 0.5,
  'ops': 1,
  'nn': 2, 'losses': 2, 'data': 2,
  'models': 3, 'parallel': 3, 'compression': 3,
  'checkpoint': 4, 'detection': 4, 'search': 4,
  'inference': 5,
  'evaluation': 6, 'export': 6,
  'training': 7, 'preparation': 7, 'importing': 7,
}  # fmt: skip

# Where a package may be imported; module prefixes, dotted.
FENCES = {
  'flax.linen': ('facejax.nn', 'facejax.models', 'facejax.detection'),
  'grain': ('facejax.data', 'facejax.preparation', 'benchmarks.peer_readers'),
  'tensorflow_datasets': (
    'facejax.data',
    'facejax.preparation',
    'benchmarks.peer_readers',
  ),
  'array_record': ('facejax.data', 'facejax.preparation'),
  'orbax': ('facejax.checkpoint',),
  'ml_collections': (
    'configs',
    'launch',
    'facejax.training.loop',
    'facejax.training.recipe',
    'facejax.training.boundary',
    'facejax.training.replay',
    'facejax.training.dry_run',
    'facejax.training.remedies',
    'benchmarks.head_tables',
  ),
  'tensorboard': ('facejax.training.event_file',),
  'absl.flags': ('launch', 'benchmarks'),
  'onnx': ('facejax.importing', 'facejax.export', 'benchmarks'),
  'numba': ('facejax.search',),
  'faiss': ('benchmarks',),
  'torch': ('benchmarks',),
  'tensorflow': (),
}


def module_name(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported_names(path):
  """Dotted names of all imports, those inside functions included."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: relative import'
      for alias in node.names:
        yield f'{node.module}.{alias.name}'


def sources():
  folders = ('facejax', 'configs', 'launch', 'benchmarks')
  return [p for f in folders for p in sorted((ROOT / f).rglob('*.py'))]


def within(name, package):
  return name == package or name.startswith(package + '.')


class LayeringTest(chex.TestCase):
  @parameterized.parameters(*sources())
  def test_imports_only_from_floors_below(self, path):
    parts = module_name(path).split('.')
    if parts[0] != 'facejax' or len(parts) < 2:
      return
    package = parts[1]
    self.assertIn(package, FLOORS, f'{path}: give {package} a floor')
    for name in imported_names(path):
      other = name.split('.')
      if other[0] in ('launch', 'configs', 'benchmarks', 'tests'):
        self.fail(f'{path} imports {name}, which stands above the library')
      if other[0] != 'facejax' or len(other) < 2 or other[1] == package:
        continue
      self.assertLess(
        FLOORS[other[1]], FLOORS[package], f'{path} imports {name}'
      )

  @parameterized.parameters(*sources())
  def test_fenced_packages_stay_behind_their_fences(self, path):
    module = module_name(path)
    for name in imported_names(path):
      for package, homes in FENCES.items():
        if within(name, package):
          self.assertTrue(
            any(module.startswith(home) for home in homes),
            f'{path} imports {package}, which belongs in {homes}',
          )

  def test_launch_scripts_import_the_library_only_inside_functions(self):
    for path in sorted((ROOT / 'launch').glob('*.py')):
      for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
          module = getattr(node, 'module', None) or node.names[0].name
          self.assertNotIn('facejax', module.replace('facejax.errors', ''))
