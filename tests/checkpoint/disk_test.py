"""What Orbax prints beside what it raises is dropped, and nothing else."""

import asyncio
import errno
import logging

import chex
from absl.testing import parameterized

from facejax.checkpoint import disk
from facejax.errors import CheckpointError


class DiskFullTest(chex.TestCase):
  @parameterized.parameters(
    OSError(errno.ENOSPC, 'x'),
    OSError(errno.EFBIG, 'x'),
    ValueError('OUT_OF_RANGE: Failed to write: File too large'),
  )
  def test_a_full_disk_is_recognised_under_what_wraps_it(self, cause):
    wrapped = RuntimeError('while saving')
    wrapped.__cause__ = cause
    with (
      self.assertRaisesRegex(CheckpointError, 'no space left to write /x'),
      disk.full_disk_is_an_error('/x'),
    ):
      raise wrapped

  def test_other_errors_pass(self):
    with self.assertRaises(KeyError), disk.full_disk_is_an_error('/x'):
      raise KeyError('other')


class SilenceTest(chex.TestCase):
  def test_only_failed_tasks_of_orbax_are_dropped(self):
    disk.silence_orbax_tracebacks()
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logger = asyncio.log.logger
    logger.addHandler(handler)
    self.addCleanup(logger.removeHandler, handler)
    failure = (ValueError, ValueError('x'), None)
    logger.error('Task failed, defined at orbax/x.py', exc_info=failure)
    logger.error('Task failed, defined at mine.py', exc_info=failure)
    logger.error('orbax says something')
    self.assertEqual(
      heard, ['Task failed, defined at mine.py', 'orbax says something']
    )
