import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import cascade, networks, pyramid
from facejax.detection.pyramid import CANVAS
from tests.preparation.face_sets import draw


class PyramidTest(chex.TestCase):
  def test_levels_shrink_until_a_window_fills_them(self):
    # 12 / 20 of 50 x 100, then 0.709 of that each time.
    out = pyramid.level_sizes((50, 100), 20, 0.709)
    self.assertEqual(out, [(30, 60), (21, 43), (15, 30)])

  @parameterized.parameters(((19, 500),), ((500, 19),), ((1, 1),))
  def test_photos_below_the_smallest_face_have_no_level(self, size):
    self.assertEmpty(pyramid.level_sizes(size, 20, 0.709))

  def test_small_faces_enlarge_the_photo(self):
    self.assertEqual(pyramid.level_sizes((12, 20), 12, 0.5), [(12, 20)])

  def test_tiles_hold_their_levels_without_touching(self):
    sizes = [(150, 150), (700, 400), (64, 2000), (1300, 900), (30, 31)]
    photos = [draw(i, size) for i, size in enumerate(sizes)]
    canvases, tiles = pyramid.pack(photos, [20] * 5, 0.709)
    self.assertEqual(canvases.shape[1:], (CANVAS, CANVAS, 3))
    taken = np.zeros(canvases.shape[:3], int)
    for tile in tiles:
      (x, y), (width, height) = tile.corner, tile.size
      self.assertEqual((x % 2, y % 2), (0, 0))
      taken[tile.canvas, y : y + height, x : x + width] += 1
    self.assertEqual(taken.max(), 1)
    self.assertEqual(
      taken.sum(), sum(w * h for w, h in (t.size for t in tiles))
    )
    self.assertEqual(canvases[taken == 0].max(), 0)
    self.assertEqual({tile.photo for tile in tiles}, {0, 1, 2, 3, 4})

  def test_every_window_of_a_level_lies_in_one_tile(self):
    photo = draw(0, (1300, 1200))
    _, tiles = pyramid.pack([photo], [12], 0.5)
    seen = np.zeros((645, 595), int)  # windows of a level as large as the photo
    for tile in tiles:
      if tile.level == 0:
        (x, y), (width, height) = tile.origin, tile.size
        rows, columns = (height - 12) // 2 + 1, (width - 12) // 2 + 1
        seen[y // 2 : y // 2 + rows, x // 2 : x // 2 + columns] += 1
    np.testing.assert_array_equal(seen, 1)

  def test_memory_for_a_large_photo_is_that_of_its_first_level(self):
    photo = np.zeros((4000, 3000, 3), np.uint8)
    canvases, _ = pyramid.pack([photo], [80], 0.709)
    self.assertLess(canvases.nbytes, 8 * CANVAS**2 * 3)

  def test_no_photos_make_no_canvas(self):
    canvases, tiles = pyramid.pack([], [], 0.7)
    self.assertEqual((len(canvases), tiles), (0, []))

  def test_a_network_sees_every_level_as_if_it_stood_alone(self):
    photos = [draw(i, size) for i, size in enumerate([(60, 80), (90, 50)])]
    network, _ = networks.NETWORKS['pnet']
    image = jnp.zeros((1, 12, 12, 3))
    params = jax.jit(network.init)(jax.random.key(0), image)
    apply = jax.jit(network.apply)
    canvases, tiles = pyramid.pack(photos, [12, 12], 0.5)
    packed, _ = cascade.run_network('pnet', params['params'], canvases)
    for tile in tiles:
      (x, y), (width, height) = tile.corner, tile.size
      image = canvases[tile.canvas, y : y + height, x : x + width]
      if tile.level == 0:
        np.testing.assert_array_equal(image, photos[tile.photo])
      pixels = (jnp.asarray(image[None], jnp.float32) - 127.5) / 128
      alone, _ = apply(params, pixels)
      rows, columns = (height - 12) // 2 + 1, (width - 12) // 2 + 1
      y, x = y // 2, x // 2
      np.testing.assert_allclose(
        packed[tile.canvas, y : y + rows, x : x + columns],
        alone[0, :rows, :columns],
        atol=1e-5,
      )


if __name__ == '__main__':
  absltest.main()
