"""Names of a list among those of an archive."""

import chex
from absl.testing import absltest

from facejax.data import protocols
from facejax.errors import DataError


class ProtocolsTest(chex.TestCase):
  def test_names_resolve_under_any_top_folder(self):
    wanted = ['Ann/Ann_0001.jpg', 'b.jpg']
    for top in ('', 'lfw/', 'x/lfw_112/'):
      found = protocols.resolve_names(
        wanted, [top + name for name in wanted], where='z'
      )
      self.assertEqual(found, {name: top + name for name in wanted})

  def test_names_resolve_by_whole_folder_names_only(self):
    with self.assertRaisesRegex(DataError, 'z has no image Ann/1.jpg'):
      protocols.resolve_names(['Ann/1.jpg'], ['MaryAnn/1.jpg'], where='z')

  def test_an_image_found_twice_is_refused_unless_named_exactly(self):
    with self.assertRaisesRegex(DataError, 'may be x/a.jpg or y/a.jpg'):
      protocols.resolve_names(['a.jpg'], ['x/a.jpg', 'y/a.jpg'], where='z')
    found = protocols.resolve_names(['a.jpg'], ['x/a.jpg', 'a.jpg'], where='z')
    self.assertEqual(found, {'a.jpg': 'a.jpg'})


if __name__ == '__main__':
  absltest.main()
