"""Writes faces as RecordIO files, in InsightFace's layout or a plain one."""

import io
from collections.abc import Iterable

from facejax import files
from facejax.data import recordio
from facejax.data.recordio_faces import EXACT
from facejax.errors import UsageError


def _write_faces(
  file: io.IOBase, examples: Iterable[tuple[int, bytes]], first_key: int
) -> tuple[list[tuple[int, int]], dict[int, int]]:
  """Writes images; returns rows of the index and the first key by label."""
  rows, first_keys, last = [], {}, None
  for key, (label, image) in enumerate(examples, first_key):
    if not 0 <= label < EXACT:
      raise UsageError(f'label {label}: expected 0 to {EXACT - 1}')
    if label != last:
      if label in first_keys:
        raise UsageError(f'label {label} comes back: give people one by one')
      first_keys[label] = key
      last = label
    rows.append((key, file.tell()))
    recordio.write_record(file, recordio.pack(label, key, image))
  return rows, first_keys


def write_recordio(
  directory: files.PathLike,
  examples: Iterable[tuple[int, bytes]],
  *,
  name: str = 'train',
  insightface: bool = True,
  image_size: tuple[int, int] = (112, 112),
  overwrite: bool = False,
) -> None:
  """Writes NAME.rec, NAME.idx and `property`, all or nothing.

  Args:
    directory: the folder to make.
    examples: (label, encoded image), all images of a person together.
    name: of the two files.
    insightface: whether to write identity records and the header behind the
      images, whose keys begin at 1 then; otherwise they begin at 0.
    image_size: (height, width) for `property`.
    overwrite: whether a folder that is there is replaced.

  Raises:
    UsageError: the folder has content, a label cannot be written or comes
      back, or an image is too large for a record.
  """
  with files.new_directory(directory, overwrite=overwrite) as folder:
    with (folder / f'{name}.rec').open('wb') as file:
      rows, first_keys = _write_faces(file, examples, int(insightface))
      if insightface:
        keys = [*first_keys.values(), len(rows) + 1]
        ranges = list(zip(keys[:-1], keys[1:], strict=True))
        end = keys[-1] + len(ranges)
        identities = range(keys[-1], end)
        for key, labels in [*zip(identities, ranges, strict=True), (0, None)]:
          labels = labels or (keys[-1], end)
          rows.append((key, file.tell()))
          recordio.write_record(file, recordio.pack(labels, key, b''))
    index = ''.join(f'{key}\t{offset}\n' for key, offset in rows)
    (folder / f'{name}.idx').write_text(index)
    height, width = image_size
    (folder / 'property').write_text(f'{len(first_keys)},{height},{width}\n')
