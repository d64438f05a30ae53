"""Synthetic faces: the same pixels everywhere, and people that differ."""

import hashlib
import os
import pickle
import subprocess
import sys

import chex
import numpy as np
from absl.testing import parameterized

from facejax.data import face_sketch
from facejax.data.contact_sheet import contact_sheet
from facejax.data.face_latents import Latents, sample_identity
from facejax.data.preprocessing import TEMPLATE_112
from facejax.data.synthetic import SyntheticFaces, draw_face
from facejax.errors import UsageError

# (seed, identity, image) and the SHA-256 of the pixels. A change here means
# that every number measured on synthetic faces so far is of other faces:
# change it on purpose, and say so in CHANGELOG.md.
CHECKSUMS = {
  (0, 0, 0): (
    'f10937f7f53b902d5e8e81ba0c1bab634a3331ac24f6f06aca4fd95ab05e4732'
  ),
  (0, 12, 3): (
    'e37f3f68d0c2c7dc35f3cbaa2789dd2e5b619dfe22154002dadf21118bd5ff17'
  ),
  (7, 100000, 1): (
    '7d0108d3701e6a25fccede009e3743013e342a2a8fa046c8ba005ff07a9d6c7d'
  ),
}
_CHILD = """
import hashlib
from facejax.data.synthetic import draw_face
faces = [draw_face(3, number, number % 4) for number in range(40)]
print(hashlib.sha256(b''.join(face.tobytes() for face in faces)).hexdigest())
"""
# Switches the vector units and vendor code of OpenCV and NumPy off, so that a
# child draws as another processor would. Names a build lacks are ignored by
# OpenCV, while NumPy warns.
_PLAIN = {
  'OPENCV_IPP': 'disabled',
  'OPENCV_CPU_DISABLE': 'AVX512-SKX,AVX2,FP16,AVX,SSE4.2',
  'NPY_DISABLE_CPU_FEATURES': 'X86_V3 X86_V4 AVX512_ICL AVX512_SPR',
  'JSIMD_FORCENONE': '1',
}


def _sha256(*arrays: np.ndarray) -> str:
  return hashlib.sha256(b''.join(a.tobytes() for a in arrays)).hexdigest()


class DrawFaceTest(chex.TestCase):
  @parameterized.parameters(*CHECKSUMS)
  def test_pixels_are_those_on_record(self, *face):
    self.assertEqual(_sha256(draw_face(*face)), CHECKSUMS[face])

  def test_another_process_without_vector_units_draws_the_same_pixels(self):
    faces = [draw_face(3, number, number % 4) for number in range(40)]
    child = subprocess.run(
      [sys.executable, '-c', _CHILD],
      env=os.environ | _PLAIN,
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertEqual(child.stdout.strip(), _sha256(*faces))

  def test_order_does_not_matter_and_global_random_state_is_untouched(self):
    before = np.random.get_state()[1].copy()
    forward = [draw_face(1, number, 0) for number in range(6)]
    backward = [draw_face(1, number, 0) for number in reversed(range(6))]
    np.testing.assert_array_equal(forward, backward[::-1])
    np.testing.assert_array_equal(np.random.get_state()[1], before)

  def test_seed_identity_and_image_each_change_the_pixels(self):
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]
    self.assertLen({_sha256(draw_face(*key)) for key in keys}, 5)

  def test_faces_are_neither_black_nor_burnt_out(self):
    means = [draw_face(0, number, 0).mean() for number in range(64)]
    self.assertBetween(min(means), 20, 235)
    self.assertBetween(max(means), 20, 235)

  def test_a_frontal_view_puts_the_eyes_on_the_template(self):
    frontal = Latents(yaw=0, pitch=0, roll=0, scale=1, shift_x=0, shift_y=0)
    view = face_sketch.View(frontal)
    for side, (x, y) in zip((-1, 1), TEMPLATE_112[:2], strict=True):
      eye = view.project(side * face_sketch.EYE_X, face_sketch.EYE_Y, 34.0)
      np.testing.assert_allclose(eye, (x, y), atol=0.1)

  def test_yaw_moves_the_nose_against_the_skull(self):
    turned = Latents(yaw=0.3, pitch=0, roll=0, scale=1, shift_x=0, shift_y=0)
    view = face_sketch.View(turned)
    nose, _ = view.project(0.0, face_sketch.NOSE_Y, 42.0)
    skull, _ = view.project(0.0, face_sketch.NOSE_Y, 16.0)
    np.testing.assert_allclose(nose - skull, 26 * np.sin(0.3), rtol=1e-12)

  def test_a_person_keeps_the_latents_and_another_has_others(self):
    one, again, other = (sample_identity(0, number) for number in (4, 4, 5))
    self.assertEqual(one.skin, again.skin)
    self.assertEqual(one.eye_width, again.eye_width)
    self.assertNotEqual(one.eye_width, other.eye_width)


class SyntheticFacesTest(chex.TestCase):
  def test_records_hold_image_label_and_key(self):
    source = SyntheticFaces(5, 3, seed=2, first_identity=10)
    record = source[7]
    self.assertLen(source, 15)
    self.assertEqual(set(record), {'image', 'label', 'key'})
    chex.assert_shape(record['image'], (112, 112, 3))
    self.assertEqual(record['image'].dtype, np.uint8)
    self.assertEqual(record['label'], 2)
    self.assertEqual(record['key'], 'synthetic_000012/0001')
    np.testing.assert_array_equal(record['image'], draw_face(2, 12, 1))

  def test_labels_count_up_with_the_index(self):
    source = SyntheticFaces(3, 2)
    labels = [source[index]['label'] for index in range(len(source))]
    self.assertEqual(labels, [0, 0, 1, 1, 2, 2])
    self.assertEqual(
      list(source.identities),
      ['synthetic_000000', 'synthetic_000001', 'synthetic_000002'],
    )

  def test_iteration_ends(self):
    self.assertLen({record['key'] for record in SyntheticFaces(2, 3)}, 6)

  def test_numpy_integers_index(self):
    source = SyntheticFaces(2, 2)
    self.assertEqual(source[np.int64(3)]['key'], 'synthetic_000001/0001')

  def test_survives_pickling(self):
    source = SyntheticFaces(4, 2, seed=9, first_identity=3)
    copy = pickle.loads(pickle.dumps(source))
    self.assertEqual(repr(copy), repr(source))
    np.testing.assert_array_equal(copy[5]['image'], source[5]['image'])

  def test_ranges_that_do_not_meet_hold_different_people(self):
    train = SyntheticFaces(20, 1)
    held_out = SyntheticFaces(20, 1, first_identity=100000)
    self.assertEmpty(set(train.identities) & set(held_out.identities))
    skins = [
      {sample_identity(0, first + label).eye_width for label in range(20)}
      for first in (0, 100000)
    ]
    self.assertEmpty(skins[0] & skins[1])

  @parameterized.parameters(
    ({'num_identities': 0}, 'num_identities is 0, use 1 or more'),
    ({'images_per_identity': -2}, 'images_per_identity is -2'),
    ({'seed': -1}, 'seed is -1, use 0 or more'),
    ({'first_identity': -1}, 'first_identity is -1'),
  )
  def test_bad_arguments_are_refused(self, wrong, message):
    arguments = {'num_identities': 2, 'images_per_identity': 2} | wrong
    with self.assertRaisesRegex(UsageError, message):
      SyntheticFaces(**arguments)

  @parameterized.parameters(-1, 4, 1000)
  def test_an_index_outside_is_an_index_error(self, index):
    with self.assertRaisesRegex(IndexError, f'image {index} of 4'):
      SyntheticFaces(2, 2)[index]

  def test_raw_pixels_verify_poorly_and_the_people_still_differ(self):
    """Nuisance hides a person in one image; the mean of eight shows it."""
    source = SyntheticFaces(24, 16, first_identity=100000)
    pixels = np.stack([source[i]['image'] for i in range(len(source))])
    pixels = pixels.reshape(24, 16, -1).astype(np.float64) - 127.5
    unit = pixels / np.linalg.norm(pixels, axis=-1, keepdims=True)
    genuine = np.einsum('kd,kd->k', unit[:, 0], unit[:, 1])
    impostor = np.einsum('kd,kd->k', unit[:, 0], np.roll(unit[:, 1], 1, 0))
    scores = np.concatenate([genuine, impostor])
    best = max(
      ((genuine >= t).mean() + (impostor < t).mean()) / 2 for t in scores
    )
    self.assertLess(best, 0.8)
    halves = unit[:, :8].mean(1), unit[:, 8:].mean(1)
    halves = [
      half / np.linalg.norm(half, axis=-1, keepdims=True) for half in halves
    ]
    found = (halves[0] @ halves[1].T).argmax(1) == np.arange(24)
    self.assertGreater(found.mean(), 0.5)  # by chance 0.04


class ContactSheetTest(chex.TestCase):
  def test_images_lie_in_rows_and_the_rest_is_black(self):
    images = np.arange(1, 4, dtype=np.uint8)[:, None, None, None]
    images = np.tile(images, (1, 2, 3, 3))
    sheet = contact_sheet(images, 2)
    chex.assert_shape(sheet, (4, 6, 3))
    expected = np.repeat(np.repeat([[1, 2], [3, 0]], 2, axis=0), 3, axis=1)
    np.testing.assert_array_equal(sheet[..., 1], expected)

  @parameterized.parameters((1, 0), (0, 3))
  def test_nothing_to_lay_out_is_refused(self, count, columns):
    with self.assertRaises(UsageError):
      contact_sheet(np.zeros((count, 2, 2, 3), np.uint8), columns)
