import json

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.alignment import align_face, template
from facejax.data.landmarks import LandmarkList
from facejax.errors import UsageError
from facejax.preparation import aligners
from facejax.preparation.aligners import LandmarkAligner
from facejax.preparation.mtcnn_aligner import MtcnnAligner
from tests import raw_photos
from tests.preparation.face_sets import draw

ROW = '69 60 106 62 87 85 73 102 104 103'
POINTS = np.array(ROW.split(), np.float32).reshape(5, 2)


class AlignersTest(chex.TestCase):
  def landmarks(self, text, **options):
    return LandmarkList(self.create_tempfile(content=text).full_path, **options)

  @parameterized.parameters((112, 112), (112, 96), (96, 96))
  def test_listed_photos_are_cut_by_their_landmarks(self, *size):
    photo = draw(0, (150, 160))
    aligner = LandmarkAligner(self.landmarks(f'a.jpg {ROW}'), size)
    (result,) = aligner.align([photo], ['Ann/a.jpg'])
    np.testing.assert_array_equal(result.crop, align_face(photo, POINTS, size))
    self.assertEqual((result.reason, result.fallback), ('', False))

  def test_failures_have_a_reason_and_their_place(self):
    photos = [draw(i, (150, 160)) for i in range(4)]
    same = ' '.join(['5 5'] * 5)
    found = self.landmarks(
      f'a.jpg {ROW}\nb.jpg {same}\nc.jpg {ROW}\nc.jpg {ROW}'
    )
    results = LandmarkAligner(found, (112, 112)).align(
      photos, ['x.jpg', 'a.jpg', 'b.jpg', 'c.jpg']
    )
    self.assertEqual(
      [r.crop is None for r in results], [True, False, True, True]
    )
    for result, part in zip(
      results, ('has no landmarks in', '', 'one point', '2 times'), strict=True
    ):
      self.assertIn(part, result.reason)
      self.assertFalse(result.fallback)

  def test_fallback_takes_the_middle_and_says_so(self):
    photos = [draw(0, (150, 150)), draw(1, (150, 150))]
    aligner = LandmarkAligner(
      self.landmarks(f'a.jpg {ROW}'), (112, 112), fallback=True
    )
    listed, other = aligner.align(photos, ['a.jpg', 'b.jpg'])
    self.assertEqual((listed.fallback, other.fallback), (False, True))
    self.assertEqual(other.reason, '')
    middle = aligners.centre_landmarks((150, 150))
    np.testing.assert_array_equal(other.crop, align_face(photos[1], middle))

  def test_the_middle_is_where_lfw_has_its_faces(self):
    # Of a photo of 100 pixels the crop covers 52 from (24, 20.5) on, so the
    # left eye is at 24 + 0.52 * (38.2946 + 0.5) / 1.12 - 0.5, and so on.
    eye = aligners.centre_landmarks((100, 100))[0]
    np.testing.assert_allclose(eye, [41.5118, 44.2340], atol=1e-3)
    wide = aligners.centre_landmarks((100, 300))[0]
    np.testing.assert_allclose(wide, eye + (100, 0))
    double = aligners.centre_landmarks((200, 200))[0]
    np.testing.assert_allclose(double + 0.5, 2 * (eye + 0.5))

  def test_photos_without_a_face_are_listed_never_dropped(self):
    photos = [draw(0, (90, 80)), np.zeros((5, 5, 3), np.uint8)]
    results = MtcnnAligner((112, 96)).align(photos, ['a', 'b'])
    self.assertEqual([r.reason for r in results], ['no face found'] * 2)
    results = MtcnnAligner((112, 96), fallback=True).align(photos, ['a', 'b'])
    self.assertEqual([r.fallback for r in results], [True] * 2)
    self.assertEqual({r.crop.shape for r in results}, {(112, 96, 3)})

  def test_no_photos_give_no_results(self):
    found = LandmarkAligner(self.landmarks(f'a.jpg {ROW}'), (112, 112))
    for aligner in (MtcnnAligner((112, 112)), found):
      self.assertEqual(aligner.align([], []), [])

  def test_sizes_without_a_template_are_refused_at_once(self):
    with self.assertRaisesRegex(UsageError, 'no landmark template'):
      MtcnnAligner((100, 100))
    with self.assertRaisesRegex(UsageError, 'no landmark template'):
      LandmarkAligner(self.landmarks(f'a.jpg {ROW}'), (100, 100))

  def test_descriptions_are_json_and_name_the_choices(self):
    found = self.landmarks(f'a.jpg {ROW}', scale=0.5)
    for aligner, method in (
      (MtcnnAligner((112, 96), min_face_size=30), 'mtcnn'),
      (LandmarkAligner(found, (112, 96)), 'landmarks'),
    ):
      self.assertIsInstance(aligner, aligners.Aligner)
      value = json.loads(json.dumps(aligner.describe()))
      self.assertEqual(value['method'], method)
      np.testing.assert_allclose(value['template'], template((112, 96)))
    self.assertEqual(value['landmarks_scale'], 0.5)
    self.assertLen(value['landmarks_sha256'], 64)

  def test_found_faces_are_cut_like_the_published_ones(self):
    # The mean grey difference between the two crops of ten people; crops of
    # two different people differ by 40 and more.
    if not raw_photos.exist():
      self.skipTest(raw_photos.MISSING)
    found = raw_photos.lfw_landmarks()
    names = list(found.names)[:10]
    photos = raw_photos.read('lfw', names)
    ours = MtcnnAligner((112, 112)).align(photos, names)
    published = LandmarkAligner(found, (112, 112)).align(photos, names)
    differences = [
      np.abs(a.crop.astype(int) - b.crop).mean()
      for a, b in zip(ours, published, strict=True)
    ]
    self.assertLess(np.median(differences), 10)


if __name__ == '__main__':
  absltest.main()
