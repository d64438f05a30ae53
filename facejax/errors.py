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
