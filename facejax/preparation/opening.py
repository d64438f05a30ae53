"""Sources and aligners by name, each importing only what it needs."""

from collections.abc import Sequence

from facejax.errors import UsageError
from facejax.files import PathLike
from facejax.preparation.aligners import Aligner, LandmarkAligner
from facejax.preparation.sources import FaceSource


def open_source(
  kind: str,
  inputs: Sequence[PathLike],
  *,
  image_list: PathLike | None = None,
  split: str = 'train',
  image_feature: str = 'image',
  label_feature: str = 'label',
) -> FaceSource:
  """Opens faces in one of the forms in which they arrive.

  Args:
    kind: 'folder' (folders, zips, tars), 'recordio', 'bin' or 'tfds'.
    inputs: files and folders.
    image_list: who is on which image, of a 'folder' without identity folders.
    split: of a 'tfds' data set.
    image_feature: name of its feature that holds the image.
    label_feature: name of the one that says whom it shows.

  Raises:
    UsageError: another kind; no input, or one twice.
    DataError: an input that cannot be read.
  """
  if kind == 'folder':
    from facejax.preparation.folder_source import FolderSource

    return FolderSource(inputs, image_list=image_list)
  if kind == 'recordio':
    from facejax.preparation.recordio_source import RecordIOSource

    return RecordIOSource(inputs)
  if kind == 'bin':
    from facejax.preparation.bin_source import BinSource

    return BinSource(inputs)
  if kind == 'tfds':
    from facejax.preparation.tfds_source import TfdsSource

    return TfdsSource(
      inputs,
      split=split,
      image_feature=image_feature,
      label_feature=label_feature,
    )
  raise UsageError(f'source {kind!r}: use folder, recordio, bin or tfds')


def make_aligner(
  kind: str,
  image_size: tuple[int, int],
  *,
  landmarks: PathLike | None = None,
  landmarks_scale: float | int = 1.0,
  fallback: bool = False,
) -> Aligner | None:
  """Makes what cuts crops from photos.

  Args:
    kind: 'mtcnn', 'landmarks', or 'none', which needs no aligner.
    image_size: (height, width) of the crops, pixels.
    landmarks: list of the landmarks of every photo.
    landmarks_scale: size of the photos over that of those the list is of.
    fallback: whether the middle of a photo stands for a face not found.

  Raises:
    UsageError: another kind or size, or no list of landmarks.
    DataError: the list, or MTCNN's weights, cannot be read.
  """
  if kind == 'none':
    return None
  if kind == 'mtcnn':
    from facejax.preparation.mtcnn_aligner import MtcnnAligner

    return MtcnnAligner(image_size, fallback=fallback)
  if kind != 'landmarks':
    raise UsageError(f'alignment {kind!r}: use mtcnn, landmarks or none')
  if landmarks is None:
    raise UsageError('alignment by landmarks needs the list: --landmarks=FILE')
  from facejax.data.landmarks import LandmarkList

  found = LandmarkList(landmarks, scale=landmarks_scale)
  return LandmarkAligner(found, image_size, fallback=fallback)
