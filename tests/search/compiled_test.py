import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import chex

import facejax

_SEARCH = """
import numpy as np
from facejax.search import scan
codes = np.zeros((3, 8), np.uint8)
scan.top_hamming(codes[:1], codes, 1)
"""


class CompiledTest(chex.TestCase):
  def test_a_change_of_any_source_compiles_anew(self):
    with tempfile.TemporaryDirectory() as folder:
      package = pathlib.Path(folder, 'facejax')
      shutil.copytree(
        pathlib.Path(facejax.__file__).parent,
        package,
        ignore=shutil.ignore_patterns('__pycache__'),
      )
      environment = os.environ | {
        'FACEJAX_CACHE': f'{folder}/cache',
        'NUMBA_CACHE_DIR': '',
      }
      kept = []
      for change in ('', '# changed\n'):
        with open(package / 'search' / 'codes.py', 'a') as source:
          source.write(change)
        subprocess.run(
          [sys.executable, '-c', _SEARCH],
          cwd=folder,
          env=environment,
          check=True,
        )
        kept.append(set(pathlib.Path(folder, 'cache', 'numba').iterdir()))
      first, second = kept
      self.assertLen(first, 1)
      self.assertLen(second, 2)
      self.assertTrue(all(any(f.rglob('*.nbi')) for f in second))
