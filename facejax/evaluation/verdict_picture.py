"""A picture of a verdict: both photos, what was found in them, the answer."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facejax import files
from facejax.array_typing import UInt8
from facejax.detection import pyramid
from facejax.errors import UsageError
from facejax.evaluation.reporting.canvas import render
from facejax.files import PathLike
from facejax.inference import EmbeddedPhoto, Verdict
from facejax.inference.photos import read_photo

_BOX, _LANDMARKS = '#56B4E9', '#E69F00'
_SAME, _DIFFERENT = '#009E73', '#D55E00'
_MAX_SIDE = 1000  # a picture shows no more of a photo


def _draw_photo(axes: Axes, image: np.ndarray, photo: EmbeddedPhoto) -> None:
  """A photo with the box and the landmarks of its face."""
  height, width = image.shape[:2]
  shrink = min(1, _MAX_SIDE / max(height, width))
  if shrink < 1:
    size = [max(1, round(side * shrink)) for side in (height, width)]
    image = pyramid.resize(image, tuple(size))
  # In pixels of the photo, whatever the size of what is drawn.
  axes.imshow(image, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
  title = os.fsencode(photo.name).decode(errors='replace')
  title = title if len(title) < 48 else '...' + title[-45:]
  if photo.face is not None:
    x1, y1, x2, y2 = photo.face.box
    axes.add_patch(
      patches.Rectangle(
        (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, ec=_BOX, lw=2
      )
    )
    axes.plot(*photo.face.landmarks.T, '+', color=_LANDMARKS, mew=2, ms=8)
    count = photo.num_faces
    faces = 'one face found' if count == 1 else f'{count} faces found, this one'
    title += f'\n{faces} with a score of {photo.face.score:.3f}'
  axes.set_title(title, fontsize=9, parse_math=False)


def _answer(verdict: Verdict) -> tuple[str, str]:
  """Two lines: the answer, and what it rests on."""
  sign = '>' if verdict.same else '\N{LESS-THAN OR EQUAL TO}'
  first = 'the same person' if verdict.same else 'not the same person'
  second = (
    f'similarity {verdict.similarity:.3f} {sign} '
    f'threshold {verdict.threshold:.3f}'
  )
  if verdict.far is not None:
    second += f', for a false-accept rate of {verdict.far:g}'
  if verdict.far_interval is not None:
    low, high = verdict.far_interval
    second += f' ({low:.2g} to {high:.2g})'
  return first, second


def verdict_figure(
  images: Sequence[UInt8[np.ndarray, '_ _ 3']], verdict: Verdict
) -> Figure:
  """The two photos with box and landmarks, the two crops, and the answer.

  Args:
    images: the pixels of the two photos, uint8 [H, W, 3] RGB.
    verdict: about them.
  """
  figure = Figure(figsize=(8, 7.5), layout='constrained')
  axes = figure.subplots(2, 2, height_ratios=(2, 1))
  for column, (image, photo) in enumerate(
    zip(images, verdict.photos, strict=True)
  ):
    _draw_photo(axes[0, column], image, photo)
    axes[1, column].imshow(photo.crop)
    axes[1, column].set_title('aligned crop', fontsize=9)
  for each in axes.flat:
    each.set_axis_off()
  first, second = _answer(verdict)
  color = _SAME if verdict.same else _DIFFERENT
  figure.suptitle(first, color=color, fontsize=16, weight='bold')
  figure.supxlabel(second, fontsize=10)
  return figure


def check_output(path: PathLike, *, overwrite: bool = False) -> None:
  """Refuses, before the work is done, where no picture can be written.

  Raises:
    UsageError: no .png file, or it exists and `overwrite` is False.
  """
  path = files.Path(path)
  if path.is_dir() or path.suffix.lower() != '.png':
    raise UsageError(f'--output={path}: name a file that ends with .png')
  if path.exists() and not overwrite:
    raise UsageError(
      f'{path} already exists: choose another file, or give --overwrite'
    )


def write_picture(path: PathLike, verdict: Verdict) -> None:
  """Writes the picture of a verdict about two files, whole or not at all.

  Args:
    path: of the PNG file.
    verdict: its photos are named by their paths.
  """
  images = [read_photo(photo.name, photo.name) for photo in verdict.photos]
  files.write_bytes(path, render(verdict_figure(images, verdict)))
