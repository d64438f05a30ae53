"""Flags that several scripts share, each defined once per process.

A script calls the functions for the flags it reads, so it accepts no flag that
it ignores, and all scripts can be imported into one test process.
"""

import functools
from typing import NamedTuple

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
def images() -> flags.FlagHolder[str]:
  """Faces to enrol or to look up."""
  return flags.DEFINE_string(
    'images',
    None,
    'Aligned faces, IDENTITY/image: folder, zip, tar or prepared set.',
  )


@functools.cache
def pairs() -> flags.FlagHolder[str]:
  """A list of pairs of images."""
  return flags.DEFINE_string(
    'pairs',
    None,
    "Pair list: LFW's own, lines of 'path_a path_b 0|1', CALFW's, CPLFW's, "
    "AgeDB's .mat, or CFP's Protocol folder.",
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


@functools.cache
def far() -> flags.FlagHolder[list[float]]:
  """False-accept rates."""
  return flags.DEFINE_multi_float(
    'far',
    None,
    'False-accept rate, again for more where several can be asked for.',
  )


@functools.cache
def seed() -> flags.FlagHolder[int]:
  """Of random draws."""
  return flags.DEFINE_integer(
    'seed', None, 'Of everything that is drawn (default 0).', lower_bound=0
  )


@functools.cache
def hash_bits() -> flags.FlagHolder[int]:
  """Of a hash layer."""
  return flags.DEFINE_integer(
    'hash_bits',
    None,
    'Bits of a code, a multiple of 8 (default 128).',
    lower_bound=8,
  )


@functools.cache
def method() -> flags.FlagHolder[str]:
  """One of several ways to do what a script does, which checks the name."""
  return flags.DEFINE_string(
    'method', None, 'How to do it: one of the ways that the script names above.'
  )


@functools.cache
def calibration() -> flags.FlagHolder[str]:
  """Faces that thresholds come from."""
  return flags.DEFINE_string(
    'calibration',
    None,
    'Aligned faces of people that the model was not trained on and, of an '
    'index, who are not in it.',
  )


@functools.cache
def candidates() -> flags.FlagHolder[int]:
  """Of a two-stage search."""
  return flags.DEFINE_integer(
    'candidates',
    None,
    'Templates that the first stage of a two-stage search hands on (default '
    '100).',
    lower_bound=1,
  )


@functools.cache
def radius() -> flags.FlagHolder[int]:
  """Of a two-stage search."""
  return flags.DEFINE_integer(
    'radius',
    None,
    'Hamming distance: all templates within it are candidates; where there is '
    'none, all are.',
    lower_bound=0,
  )


class ProcessFlags(NamedTuple):
  """How a command is one of several processes, by `launch.processes`."""

  local_processes: flags.FlagHolder[int]
  distributed: flags.FlagHolder[bool]
  coordinator: flags.FlagHolder[str]
  num_processes: flags.FlagHolder[int]
  process_id: flags.FlagHolder[int]
  local_device_ids: flags.FlagHolder[list[str]]
  heartbeat_seconds: flags.FlagHolder[int]
  connect_seconds: flags.FlagHolder[int]


@functools.cache
def processes() -> ProcessFlags:
  """Several processes for one run; launch/README.md shows them at work."""
  return ProcessFlags(
    flags.DEFINE_integer(
      'local_processes',
      1,
      'Processes that the command starts of itself on this host, one a GPU (on '
      'a CPU, --cpu_devices devices each, by default one).',
      lower_bound=1,
    ),
    flags.DEFINE_bool(
      'distributed',
      False,
      'This is one process of a job of Slurm (by srun), GKE, a TPU pod or Open '
      'MPI, which says the rest.',
    ),
    flags.DEFINE_string(
      'coordinator',
      None,
      'HOST:PORT of process 0, any free port of its host, the same for all; '
      'with --num_processes and --process_id, where no cluster is detected.',
    ),
    flags.DEFINE_integer(
      'num_processes', None, 'Processes of the job.', lower_bound=1
    ),
    flags.DEFINE_integer(
      'process_id',
      None,
      'Number of this process, from 0; process 0 writes the logs.',
      lower_bound=0,
    ),
    flags.DEFINE_list(
      'local_device_ids',
      [],
      'GPUs of this host that the process takes, such as 0 or 0,1; by default '
      'all, under Slurm and Open MPI the one of its local rank.',
    ),
    flags.DEFINE_integer(
      'heartbeat_seconds',
      None,
      'Silence after which a process counts as lost and the others end: 100 if '
      'not given, 2 or more, the same for all.',
    ),
    flags.DEFINE_integer(
      'connect_seconds',
      None,
      'How long the processes may take to find each other: 300 if not given.',
      lower_bound=1,
    ),
  )
