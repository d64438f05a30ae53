"""`launch.train`, but its batches take a moment, and say what is in them.

Not a test. `python -m tests.training.slow_train --flags` leaves time to signal
a run between its steps; on stderr stands 'images [PLACE, ...]' for each batch.
"""

import contextlib
import json
import re
import sys
import time
from unittest import mock

from facejax.training import loop_setup
from launch import run, train

SECONDS = 0.15


def telling(make_pipeline):
  def tell(*args, **kwargs):
    batches = make_pipeline(*args, **kwargs)
    with contextlib.closing(batches):
      for batch in batches:
        time.sleep(SECONDS)
        print('images', batch['index'].tolist(), file=sys.stderr, flush=True)
        yield batch

  return tell


def told_images(stderr):
  """Places of the images of every batch, from what a process said."""
  # Of process 0 the progress bar may stand before it on the line.
  return [json.loads(x) for x in re.findall(r'images (\[.*?\])', stderr)]


if __name__ == '__main__':
  slow = telling(loop_setup.make_pipeline)
  with mock.patch.object(loop_setup, 'make_pipeline', slow):
    run.run(train.main)
