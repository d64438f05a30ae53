"""Faces of data sets that tensorflow-datasets prepared."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from facejax import files
from facejax.array_typing import Int32
from facejax.data.names import NameTable
from facejax.data.numbering import NUMBER_WIDTH, Numbering
from facejax.data.remote import absolute
from facejax.data.tfds_records import TfdsRecords, open_builder
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike

# Text features that name the file that an image was.
_NAME_FEATURES = ('key', 'filename', 'image/filename')
_IDENTITIES = 'identities.txt'  # of sets that launch.prepare_data wrote


def _features(
  builder: tfds.core.DatasetBuilder, where: PathLike
) -> dict[str, Any]:
  """The features of a set by name."""
  features = builder.info.features
  if not isinstance(features, tfds.features.FeaturesDict):
    raise DataError(f'{where}: its records have no named features')
  return dict(features.items())


def _check_features(
  features: Mapping[str, Any], image: str, label: str, where: PathLike
) -> None:
  """Raises DataError where a feature is missing or of another kind."""
  for name, what in ((image, 'image_feature'), (label, 'label_feature')):
    if name not in features:
      raise DataError(
        f'{where} has no feature {name!r}: it has '
        f'{", ".join(sorted(features))}; name the right one with --{what}'
      )
  if not isinstance(features[image], tfds.features.Image):
    raise DataError(
      f'{where}: the feature {image!r} is of kind '
      f'{type(features[image]).__name__}, not Image; name another with '
      '--image_feature'
    )
  found = features[label]
  is_text = isinstance(found, tfds.features.Text)
  is_number = not is_text and found.shape == () and _is_integer(found)
  if not (is_text or is_number):
    raise DataError(
      f'{where}: the feature {label!r} is of kind {type(found).__name__}, not '
      'a class, a whole number or a text; name another with --label_feature'
    )


def _is_integer(feature: Any) -> bool:
  return np.issubdtype(np.dtype(feature.np_dtype), np.integer)


def _class_names(path: Path, feature: Any) -> Sequence[str]:
  """Real names of the classes, empty where labels are mere numbers."""
  if isinstance(feature, tfds.features.ClassLabel) and feature.num_classes:
    names = NameTable.of(map(feature.int2str, range(feature.num_classes)))
    if any(name != str(number) for number, name in enumerate(names)):
      return names
  listed = path / _IDENTITIES
  return NameTable.from_lines(listed.read_bytes()) if listed.is_file() else ()


class _Input:
  """One data set: its records, and how a label becomes a name."""

  def __init__(self, path: PathLike, split: str, image: str, label: str):
    builder = open_builder(path)
    features = _features(builder, path)
    _check_features(features, image, label, path)
    self.path = Path(path)
    self.records = TfdsRecords(builder, split, path)
    self.label_feature = label
    self.class_names = _class_names(self.path, features[label])
    self.suffix = '.' + (features[image].encoding_format or 'jpeg')
    self.name_feature = next(
      (
        name
        for name in _NAME_FEATURES
        if isinstance(features.get(name), tfds.features.Text)
      ),
      None,
    )
    self.claims = {
      'name': builder.info.full_name,
      'split': split,
      'images': len(self.records),
      'classes': getattr(features[label], 'num_classes', None),
      'image_shape': list(features[image].shape),
    }

  def scan(self, prefix: str) -> Iterator[tuple[str | None, str]]:
    """Yields (identity or None, file name) of all records, reading them once.

    Args:
      prefix: of names that are numbers.
    """
    names = [self.label_feature]
    if self.name_feature:
      names.append(self.name_feature)
    records = files.progress(
      self.records.scan(names),
      desc=f'labels of {self.path.name}',
      total=len(self.records),
      unit='img',
      delay=1,
    )
    for place, record in enumerate(records):
      label = record.get(self.label_feature)
      name = f'{place:09d}{self.suffix}'
      if self.name_feature in record:
        stored = os.fsdecode(record[self.name_feature])
        name = stored.rsplit('/', 1)[-1] or name
      yield self._identity(label, prefix), name

  def _identity(self, label: int | bytes | None, prefix: str) -> str | None:
    """The name behind a label; None for -1 and where there is none."""
    if isinstance(label, bytes):
      return os.fsdecode(label) or None
    if label is None or label < 0:
      return None
    if not self.class_names:
      return f'{prefix}{label:0{NUMBER_WIDTH}d}'
    if label >= len(self.class_names):
      raise DataError(
        f'{self.path}: a record has the label {label}, but there are '
        f'{len(self.class_names)} names: prepare the set again'
      )
    return self.class_names[label]

  def fingerprint(self) -> Iterator[bytes]:
    """What changes when the set does."""
    for name in ('dataset_info.json', 'features.json'):
      yield (self.path / name).read_bytes()
    for shard in self.records.paths:
      found = os.stat(shard)
      yield f'{shard} {found.st_size} {found.st_mtime_ns}\n'.encode()


class TfdsSource:
  """The images of a split of data sets in the array_record format.

  People are called by the names of the classes, by `identities.txt` beside the
  records, or by their label, '0000042'. Real names are one person over all
  inputs; numbers of several inputs are told apart by the input's place,
  'input1_0000042'.
  """

  num_ignored = 0

  def __init__(
    self,
    paths: Sequence[PathLike],
    *,
    split: str = 'train',
    image_feature: str = 'image',
    label_feature: str = 'label',
  ):
    """Opens the inputs and reads every label once.

    Args:
      paths: folders of one version each, NAME/1.0.0, or sets that
        launch.prepare_data wrote.
      split: of each; 'train', 'train+test', 'train[:10%]'.
      image_feature: name of the feature that holds the image.
      label_feature: of the one that says whom it shows: a class, a whole
        number (-1 for nobody known) or a text.

    Raises:
      DataError: an input is missing, of another format or damaged, or has no
        such split or feature; says which it has.
      UsageError: none is given, or one twice.
    """
    if not paths:
      raise UsageError(
        'no input: name folders of tensorflow-datasets with --input'
      )
    self.inputs = [str(path) for path in paths]
    if len({absolute(path) for path in paths}) < len(paths):
      raise UsageError(f'--input names a place twice: {",".join(self.inputs)}')
    self._image_feature = image_feature
    self._sets = [
      _Input(path, split, image_feature, label_feature) for path in paths
    ]
    self._starts = np.cumsum([0] + [len(part.records) for part in self._sets])
    self.labels: Int32[np.ndarray, ' N']
    self._names = NameTable.of(self._scan())

  def _scan(self) -> Iterable[str]:
    """Yields the file name of every item; numbers the people meanwhile."""
    people = Numbering()
    for number, part in enumerate(self._sets):
      prefix = f'input{number}_' if len(self._sets) > 1 else ''
      for identity, name in part.scan(prefix):
        people.add(identity)
        yield name
    self.identities, self.labels = people.finish()

  def path(self, item: int) -> str:
    """'IDENTITY/file', the file's own name or its place; 'file' for nobody."""
    label = self.labels[item]
    name = self._names[item]
    return f'{self.identities[label]}/{name}' if label >= 0 else name

  def input_of(self, item: int) -> int:
    """The place in `inputs` of the set that holds an item."""
    return int(np.searchsorted(self._starts, item, side='right')) - 1

  def read(self, item: int) -> bytes:
    """The encoded image of an item.

    Raises:
      DataError: its record is corrupt or holds no image.
    """
    number = self.input_of(item)
    index = int(item - self._starts[number])
    return self._sets[number].records.get(index, self._image_feature)

  def why_nameless(self, item: int) -> str:
    """The data set marks the image as one without a label."""
    del item
    return 'has no label in the data set'

  def claims(self) -> dict[str, Any]:
    """By input, what its metadata say."""
    inputs = {
      name: part.claims
      for name, part in zip(self.inputs, self._sets, strict=True)
    }
    return {'inputs': inputs, 'notes': []}

  def fingerprint(self) -> str:
    """Of metadata, shards (sizes, times of change) and labels."""
    digest = hashlib.sha256(self._image_feature.encode())
    for part in self._sets:
      for piece in part.fingerprint():
        digest.update(piece)
    digest.update(np.ascontiguousarray(self.labels))
    return digest.hexdigest()
