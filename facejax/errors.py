"""Errors meant for the user: one line that says what, where and what to do.

`launch/run.py` prints them without a traceback and exits with their code; any
other exception is a defect of facejax and keeps its traceback.
"""


class UserError(Exception):
  """The input cannot be used: data, a model, a checkpoint, a disk."""

  exit_code = 1


class UsageError(UserError):
  """The command was asked for wrongly: a flag, a config field, a name."""

  exit_code = 2


class DataError(UserError):
  """An image, archive, list or prepared data set that cannot be used."""


class CheckpointError(UserError):
  """A checkpoint or model directory that is missing, cut short or unfit."""


class Interrupted(UserError):
  """A run that was asked to stop and has saved: run the command again.

  Every process of a job raises it after the same step. The code is EX_TEMPFAIL
  of sysexits.h, which schedulers can be told to start again on.
  """

  exit_code = 75


class PeerError(UserError):
  """Another process of the job is lost: run the command again.

  Where that process said why it ends, `exit_code` is its own.
  """

  exit_code = 75

  def __init__(self, message: str, *, exit_code: int = 75):
    super().__init__(message)
    self.exit_code = exit_code
