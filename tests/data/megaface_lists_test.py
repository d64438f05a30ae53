"""Lists of the devkit and of noise: both forms, and what is wrong in them."""

import json
import os

import chex
from absl.testing import absltest, parameterized

from facejax.data import megaface_lists
from facejax.errors import DataError


class MegaFaceListsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'list')

  def write(self, content):
    if not isinstance(content, str):
      content = json.dumps(content)
    with open(self.path, 'w') as file:
      file.write(content)
    return self.path

  def test_probes_of_the_devkit_have_paths_and_people(self):
    found = megaface_lists.read_probe_list(
      self.write({'path': ['A/1.png', 'B/1.png'], 'id': ['A', 7]})
    )
    self.assertSequenceEqual(found.names, ['A/1.png', 'B/1.png'])
    self.assertSequenceEqual(found.identities, ['A', '7'])

  def test_probes_in_text_have_their_folder_or_a_second_column(self):
    found = megaface_lists.read_probe_list(
      self.write('A/1.png\nB/1.png C\nB/a b.png\tB\n')
    )
    self.assertSequenceEqual(found.names, ['A/1.png', 'B/1.png', 'B/a b.png'])
    self.assertSequenceEqual(found.identities, ['A', 'C', 'B'])

  @parameterized.parameters(
    ({'path': ['0/b/2.jpg', '0/a/1 2.jpg']},),
    ('0/b/2.jpg\n\n0/a/1 2.jpg\n',),
  )
  def test_distractors_keep_their_order_in_both_forms(self, content):
    found = megaface_lists.read_distractor_list(self.write(content))
    self.assertSequenceEqual(list(found.names), ['0/b/2.jpg', '0/a/1 2.jpg'])
    self.assertIsNone(found.identities)

  def test_what_is_written_is_read_again(self):
    megaface_lists.write_template_list(self.path, ('A/1', 'B/2'), ('A', 'B'))
    found = megaface_lists.read_probe_list(self.path)
    self.assertSequenceEqual(found.names, ['A/1', 'B/2'])
    self.assertSequenceEqual(found.identities, ['A', 'B'])

  @parameterized.parameters(
    ('{"path": ["a"', 'not valid JSON'),
    ({'paths': ['a']}, "the lists 'path'"),
    ({'path': 'a'}, "'path' must be a list"),
    ({'path': [['a']]}, "'path' must be a list"),
    ({'path': []}, 'names no image'),
    ({'path': ['A/1', 'A/1']}, 'A/1 stands there 2 times'),
    ({'path': ['A/1', 'A/2'], 'id': ['A']}, "2 entries, 'id' 1"),
    ('', 'empty'),
  )
  def test_what_is_wrong_with_a_list_is_said(self, content, message):
    for read in (
      megaface_lists.read_probe_list,
      megaface_lists.read_distractor_list,
    ):
      with self.assertRaisesRegex(DataError, message):
        read(self.write(content))

  def test_a_missing_list_is_named(self):
    with self.assertRaisesRegex(DataError, 'nowhere.*cannot be read'):
      megaface_lists.read_probe_list('nowhere')

  def test_noise_is_matched_by_the_end_of_its_path(self):
    noise = megaface_lists.read_noise_list(
      self.write('# comment\nA_1.jpg\n12\t0/b/2.jpg\nnone.jpg\n')
    )
    self.assertSequenceEqual(noise, ['A_1.jpg', '0/b/2.jpg', 'none.jpg'])
    names = ['A/A_1.jpg', 'A/AA_1.jpg', 'top/0/b/2.jpg', '1/b/2.jpg']
    marks, unknown = megaface_lists.mark_noise(names, noise)
    self.assertSequenceEqual(marks.tolist(), [True, False, True, False])
    self.assertSequenceEqual(unknown, ['none.jpg'])

  def test_a_noise_list_of_comments_is_refused(self):
    with self.assertRaisesRegex(DataError, 'names no image'):
      megaface_lists.read_noise_list(self.write('# nothing\n'))


if __name__ == '__main__':
  absltest.main()
