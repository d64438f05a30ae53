"""The picture of a verdict."""

import os
import pathlib

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.images import decode_image, encode_png
from facejax.errors import UsageError
from facejax.evaluation import verdict_picture
from facejax.inference import EmbeddedPhoto, Verdict
from tests.inference.fixed_detector import face_at
from tests.preparation.face_sets import draw


def make_verdict(names=('a.png', 'b.png'), **changes):
  photos = tuple(
    EmbeddedPhoto(name, face_at(10, 5), count, draw(count), np.ones(4) / 2)
    for count, name in enumerate(names, 1)
  )
  values = {
    'same': True,
    'similarity': 0.5772,
    'threshold': 0.401,
    'far': 1e-3,
    'far_interval': (0.00095, 0.00105),
    'photos': photos,
  }
  return Verdict(**values | changes)


def texts(figure):
  return [
    figure.get_suptitle(),
    figure.get_supxlabel(),
    *(axes.get_title() for axes in figure.axes),
  ]


class VerdictPictureTest(chex.TestCase):
  def test_it_says_the_answer_and_what_it_rests_on(self):
    images = [draw(0, (130, 140)), draw(1, (150, 120))]
    figure = verdict_picture.verdict_figure(images, make_verdict())
    self.assertEqual(
      texts(figure),
      [
        'the same person',
        'similarity 0.577 > threshold 0.401, for a false-accept rate of 0.001 '
        '(0.00095 to 0.001)',
        'a.png\none face found with a score of 0.900',
        'b.png\n2 faces found, this one with a score of 0.900',
        'aligned crop',
        'aligned crop',
      ],
    )

  def test_no_is_said_as_clearly(self):
    verdict = make_verdict(
      same=False, similarity=-0.1, far=None, far_interval=None
    )
    figure = verdict_picture.verdict_figure([draw(0), draw(1)], verdict)
    self.assertEqual(
      texts(figure)[:2],
      ['not the same person', 'similarity -0.100 ≤ threshold 0.401'],
    )

  def test_box_and_landmarks_lie_in_pixels_of_the_photo(self):
    images = [np.zeros((2000, 3000, 3), np.uint8), draw(1)]
    figure = verdict_picture.verdict_figure(images, make_verdict())
    axes = figure.axes[0]
    (image,) = axes.get_images()
    self.assertEqual(image.get_array().shape, (667, 1000, 3))
    self.assertEqual(list(image.get_extent()), [-0.5, 2999.5, 1999.5, -0.5])
    (box,) = axes.patches
    self.assertEqual(box.get_xy(), (9.5, 4.5))
    self.assertEqual((box.get_width(), box.get_height()), (112, 112))
    (points,) = axes.get_lines()
    np.testing.assert_allclose(
      points.get_xydata(), face_at(10, 5).landmarks, rtol=1e-6
    )

  def test_files_of_any_name_are_drawn(self):
    root = pathlib.Path(self.create_tempdir().full_path)
    names = [str(root / name) for name in ('$x_1$.png', os.fsdecode(b'\xff'))]
    for name in names:
      pathlib.Path(name).write_bytes(encode_png(draw(0)))
    path = root / 'deep' / 'report.png'
    verdict_picture.write_picture(path, make_verdict(names))
    picture = decode_image(path.read_bytes(), 'report.png')
    self.assertEqual(picture.shape, (1125, 1200, 3))

  @parameterized.parameters('report.jpg', 'report', '.')
  def test_only_a_png_file_is_written(self, name):
    root = pathlib.Path(self.create_tempdir().full_path)
    with self.assertRaisesRegex(UsageError, 'name a file that ends with .png'):
      verdict_picture.check_output(root / name)

  def test_an_existing_file_is_replaced_only_if_asked(self):
    path = pathlib.Path(self.create_tempdir().full_path) / 'report.png'
    verdict_picture.check_output(path)
    path.write_bytes(b'old')
    with self.assertRaisesRegex(UsageError, 'already exists'):
      verdict_picture.check_output(path)
    verdict_picture.check_output(path, overwrite=True)


if __name__ == '__main__':
  absltest.main()
