"""Keeps freed memory in the process, on Linux with glibc.

XLA on CPU takes its temporaries anew in every step. glibc gives large blocks
back to the kernel at once, so each step pays again for having their pages
mapped and cleared: a sixth of the CPU time of a MobileFaceNet step
(benchmarks/train_step.py with GLIBC_TUNABLES= set to nothing, and without).
The library reads its settings when a process starts, so a script starts itself
once more with them. Whoever sets GLIBC_TUNABLES, even to nothing, is left
alone.
"""

import os
import platform
import sys

_VARIABLE = 'GLIBC_TUNABLES'
_SETTINGS = ':'.join(
  (
    'glibc.malloc.hugetlb=1',  # ask for large pages
    'glibc.malloc.mmap_max=0',  # no block of its own mapping
    f'glibc.malloc.trim_threshold={1 << 34}',  # keep up to 16 GiB
  )
)
_SCRIPTS = ('launch.', 'benchmarks.')


def keep_freed_memory() -> None:
  """Starts the running script again under the settings, if it has not them.

  Does nothing in a process that is not a script of ours, such as a test's.
  """
  spec = getattr(sys.modules['__main__'], '__spec__', None)
  if spec is None or not spec.name.startswith(_SCRIPTS):
    return
  if _VARIABLE in os.environ or platform.libc_ver()[0] != 'glibc':
    return
  environment = os.environ | {_VARIABLE: _SETTINGS}
  os.execve(sys.executable, sys.orig_argv, environment)
