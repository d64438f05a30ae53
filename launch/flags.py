"""Flags that several scripts share, each defined once per process.

A script calls the functions for the flags it reads, so it accepts no flag that
it ignores, and all scripts can be imported into one test process.
"""

import functools

from absl import flags

# The calling script, not this module, is the flag's home in `--help`.
flags.disclaim_key_flags()


@functools.cache
def model() -> flags.FlagHolder[str]:
  """A trained, compressed or imported model."""
  return flags.DEFINE_string(
    'model', None, 'Model directory (it holds a model.json).'
  )


@functools.cache
def input_paths() -> flags.FlagHolder[list[str]]:
  """What is read: files of others, or folders."""
  return flags.DEFINE_list(
    'input', [], 'Files and folders, with a comma between them.'
  )


@functools.cache
def output() -> flags.FlagHolder[str]:
  """Where the result goes."""
  return flags.DEFINE_string(
    'output',
    None,
    'Folder (or file, for a script that makes one) for the results; written '
    'whole or not at all.',
  )


@functools.cache
def overwrite() -> flags.FlagHolder[bool]:
  """Whether an existing output is replaced."""
  return flags.DEFINE_bool(
    'overwrite', False, 'Replace what stands at --output, at the very end.'
  )


@functools.cache
def data() -> flags.FlagHolder[str]:
  """Images to work on."""
  return flags.DEFINE_string(
    'data', None, 'Folder, zip, tar or .bin of aligned faces.'
  )


@functools.cache
def pairs() -> flags.FlagHolder[str]:
  """A list of pairs of images."""
  return flags.DEFINE_string(
    'pairs', None, "Pair list: LFW's own, or lines of 'path_a path_b 0|1'."
  )


@functools.cache
def batch_size() -> flags.FlagHolder[int]:
  """Images a call of the model."""
  return flags.DEFINE_integer(
    'batch_size', 128, 'Images in one call of the model.', lower_bound=1
  )


@functools.cache
def embeddings() -> flags.FlagHolder[str]:
  """Embeddings that stand in for a model."""
  return flags.DEFINE_string(
    'embeddings', None, 'Saved embeddings (.npz), instead of --model.'
  )


@functools.cache
def test_set() -> flags.FlagHolder[str]:
  """A test set whose people a training set must not hold."""
  return flags.DEFINE_string(
    'test_set', None, 'Test set to look for: folder, archive or prepared set.'
  )


@functools.cache
def test_embeddings() -> flags.FlagHolder[str]:
  """Its embeddings."""
  return flags.DEFINE_string(
    'test_embeddings', None, 'Saved embeddings (.npz) of the test set.'
  )
