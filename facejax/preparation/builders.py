"""Builders of `tensorflow-datasets` for face sets, without TensorFlow.

They prepare what a user has downloaded, in any of the forms in which it is
passed around, and nothing is fetched from anywhere. Once this module is
imported:

  builder = tfds.builder('casia_webface', data_dir='data')
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir='downloads')
  )
  faces = builder.as_data_source('train')

`builder.data_dir` is a prepared set like any other, which training reads.
"""

from typing import Any

import tensorflow_datasets as tfds

from facejax.data.archives import ARCHIVE_SUFFIXES
from facejax.data.manifest import IDENTITIES
from facejax.data.names import NameTable
from facejax.errors import DataError, UsageError
from facejax.files import Path
from facejax.preparation import draft, report, writing
from facejax.preparation.aligners import Aligner
from facejax.preparation.collect import collect
from facejax.preparation.exclusion import Exclusion
from facejax.preparation.folder_source import FolderSource
from facejax.preparation.recordio_source import RecordIOSource
from facejax.preparation.sources import FaceSource

_INSTRUCTIONS = """
  Put one of these into the manual folder, and nothing else: {forms}.
"""


class _FaceBuilder(
  tfds.core.dataset_builder.FileReaderBuilder, skip_registration=True
):
  """What the builders share: from a manual folder to a prepared set."""

  SPLIT = 'train'
  MIN_IMAGES = 2
  DESCRIPTION = ''
  CITATION = ''
  HOMEPAGE = ''
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'JPEG image, label, key.'}

  def __init__(
    self,
    *,
    image_size: tuple[int, int] = (112, 112),
    aligner: Aligner | None = None,
    exclusion: Exclusion | None = None,
    **kwargs: Any,
  ):
    """A builder to prepare with, or to read what is prepared.

    Args:
      image_size: (height, width) of every crop, pixels.
      aligner: cuts the crops from photos; None where they are crops.
      exclusion: identities and files to leave out.
      **kwargs: of `tfds.core.DatasetBuilder`, such as `data_dir`.
    """
    self._image_size = tuple(image_size)
    self._aligner = aligner
    self._exclusion = exclusion or Exclusion()
    super().__init__(file_format='array_record', **kwargs)

  @property
  def identities(self) -> NameTable:
    """Names in label order, of a set that is prepared."""
    return NameTable.from_lines((self.data_path / IDENTITIES).read_bytes())

  def _num_identities(self) -> int | None:
    """Of the set that is prepared, if one is."""
    path = self.data_path / IDENTITIES
    return path.read_bytes().count(b'\n') if path.exists() else None

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.DESCRIPTION,
      citation=self.CITATION,
      homepage=self.HOMEPAGE,
      features=writing.make_features(self._image_size, self._num_identities()),
      supervised_keys=('image', 'label'),
      disable_shuffling=True,
    )

  def _download_and_prepare(
    self,
    dl_manager: tfds.download.DownloadManager,
    download_config: tfds.download.DownloadConfig | None = None,
  ) -> None:
    """Called by `download_and_prepare`, with `data_dir` a temporary folder."""
    if download_config and download_config.max_examples_per_split is not None:
      raise UsageError(f'{self.name}: max_examples_per_split is not supported')
    directory = Path(self.data_dir)
    manifest = collect(
      directory,
      open_downloaded(Path(dl_manager.manual_dir)),
      exclusion=self._exclusion,
      image_size=self._image_size,
      min_images=self.MIN_IMAGES,
      aligner=self._aligner,
      dataset=self.name,
      split=self.SPLIT,
    )
    report.write_report(directory, manifest)
    draft.remove_traces(directory)
    split = writing.make_split(
      directory, self.name, self.SPLIT, manifest['shards']
    )
    # Its public setter takes names, of which it would keep an object each.
    label = self.info.features['label']
    label._num_classes = manifest['num_identities']
    self.info.set_splits(tfds.core.splits.SplitDict([split]))


def open_downloaded(folder: Path) -> FaceSource:
  """The one data set in a folder of downloads, whatever its form.

  Args:
    folder: holds a RecordIO file (train.rec) at any depth down to two
      folders, or zip or tar files, or folders of IDENTITY/image.jpg.

  Raises:
    DataError: it holds nothing of this kind, or more than one RecordIO file.
  """
  records = [
    path
    for pattern in ('*.rec', '*/*.rec', '*/*/*.rec')
    for path in sorted(folder.glob(pattern))
  ]
  if len(records) > 1:
    raise DataError(
      f'{folder} has several RecordIO files, {records[0].name} and '
      f'{records[1].name}: leave the one to prepare'
    )
  if records:
    return RecordIOSource(records)
  archives = sorted(
    path
    for path in folder.iterdir()
    if path.name.lower().endswith(ARCHIVE_SUFFIXES)
  )
  return FolderSource(archives or [folder])


class CasiaWebface(_FaceBuilder):
  """CASIA-WebFace: 494,414 images of 10,575 people."""

  name = 'casia_webface'
  HOMEPAGE = 'http://www.cbsr.ia.ac.cn/english/CASIA-WebFace-Database.html'
  DESCRIPTION = """
  Photos of celebrities from IMDb: 494,414 of 10,575 people as published,
  490,623 of 10,572 in the aligned 112x112 crops of InsightFace
  (faces_webface_112x112).
  """
  CITATION = """
  @article{yi2014learning,
    title = {Learning Face Representation from Scratch},
    author = {Yi, Dong and Lei, Zhen and Liao, Shengcai and Li, Stan Z.},
    journal = {arXiv preprint arXiv:1411.7923},
    year = {2014},
  }
  """
  MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS.format(
    forms=(
      'faces_webface_112x112/ with train.rec and train.idx; or '
      'CASIA-WebFace.zip, .tar or its folder of IDENTITY/image.jpg'
    )
  )


class MsCeleb(_FaceBuilder):
  """MS-Celeb-1M, as cleaned by others: 3.8 to 5.8 million images."""

  name = 'ms_celeb'
  HOMEPAGE = 'https://www.microsoft.com/en-us/research/project/ms-celeb-1m-challenge-recognizing-one-million-celebrities-real-world'
  DESCRIPTION = """
  Celebrities of the web in the cleaned, aligned 112x112 crops of InsightFace:
  MS1MV1 (faces_ms1m_112x112: 85,164 people, 3.8 million images), MS1MV2
  (faces_emore: 85,742 people, 5.8 million images) or MS1MV3 (93,431 people,
  5.2 million images).
  """
  CITATION = """
  @inproceedings{guo2016msceleb,
    title = {{MS-Celeb-1M}: A Dataset and Benchmark for Large-Scale Face
             Recognition},
    author = {Guo, Yandong and Zhang, Lei and Hu, Yuxiao and He, Xiaodong and
              Gao, Jianfeng},
    booktitle = {European Conference on Computer Vision},
    year = {2016},
  }
  """
  MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS.format(
    forms=(
      'faces_emore/, faces_ms1m_112x112/ or ms1m-retinaface-t1/ with train.rec '
      'and train.idx; or a zip, tar or folder of IDENTITY/image.jpg'
    )
  )


class LfwFaces(_FaceBuilder):
  """Labeled Faces in the Wild: 13,233 images of 5,749 people, a test set."""

  name = 'lfw_faces'
  SPLIT = 'test'
  MIN_IMAGES = 1
  HOMEPAGE = 'http://vis-www.cs.umass.edu/lfw/'
  DESCRIPTION = """
  13,233 photos of 5,749 people from news pages. A test set: models that
  report results on it are trained on other people.
  """
  CITATION = """
  @techreport{huang2007labeled,
    title = {Labeled Faces in the Wild: A Database for Studying Face
             Recognition in Unconstrained Environments},
    author = {Huang, Gary B. and Ramesh, Manu and Berg, Tamara and
              Learned-Miller, Erik},
    institution = {University of Massachusetts, Amherst},
    number = {07-49},
    year = {2007},
  }
  """
  MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS.format(
    forms=(
      'aligned crops as a zip, tar or folder of NAME/NAME_0001.jpg; or '
      'lfw.tgz, with an aligner given to the builder'
    )
  )


class FaceFolder(_FaceBuilder):
  """Faces of the user's own."""

  name = 'face_folder'
  DESCRIPTION = """
  Faces of named people, one class a person, from folders, zip or tar files of
  IDENTITY/image.jpg, or RecordIO. manifest.json and report/ say what was
  rejected or left out, and why.
  """
  CITATION = """
  @misc{face_folder,
    title = {A face set of the user's own, prepared by facejax},
    note = {cite the inputs that manifest.json names},
  }
  """
  MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS.format(
    forms='zips, tars or folders of IDENTITY/image.jpg; or one train.rec'
  )
