"""The three steps of MTCNN over a batch of photos: propose, refine, decide.

The networks run jitted on batches of one fixed shape each, so three programs
are compiled whatever photos come; pyramids, suppression and windows are cheap
and of varied size, and stay on the host.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import AnyArray, PyTree, UInt8
from facejax.detection import boxes as boxes_lib
from facejax.detection import networks, pyramid, windows

# Images in one call of a network.
BATCH_SIZES = {'pnet': 1, 'rnet': 64, 'onet': 16}
# Of one level of one photo: the best windows that are looked at further.
MAX_PROPOSALS = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Candidates:
  """Boxes that may hold faces, of all photos of a batch.

  Attributes:
    owners: int64 [n], the photo of every box, rising.
    boxes: float32 [n, 4], x1, y1, x2, y2 in photo pixels.
    scores: float32 [n], the probability of a face.
    landmarks: float32 [n, 5, 2] in photo pixels, after the last step.
  """

  owners: np.ndarray
  boxes: np.ndarray
  scores: np.ndarray
  landmarks: np.ndarray

  @classmethod
  def of(cls, owners, boxes, scores, landmarks=None) -> 'Candidates':
    """From arrays of any float type."""
    if landmarks is None:
      landmarks = np.zeros((len(owners), 5, 2))
    floats = (np.asarray(x, np.float32) for x in (boxes, scores, landmarks))
    return cls(np.asarray(owners, np.int64), *floats)

  @classmethod
  def joined(cls, parts: Sequence['Candidates']) -> 'Candidates':
    """All of several, by photo."""
    empty = cls.of([], np.zeros((0, 4)), [])
    fields = (f.name for f in dataclasses.fields(cls))
    arrays = (
      np.concatenate([getattr(part, f) for part in [empty, *parts]])
      for f in fields
    )
    joined = cls(*arrays)
    return joined[np.argsort(joined.owners, kind='stable')]

  def __len__(self) -> int:
    return len(self.owners)

  def __getitem__(self, places: Any) -> 'Candidates':
    """Those at some places, or under a mask."""
    return Candidates(
      *(getattr(self, f.name)[places] for f in dataclasses.fields(self))
    )

  def suppressed(
    self, threshold: float, *, of_smaller: bool = False
  ) -> 'Candidates':
    """Without the boxes that a better one of the same photo covers."""
    edges = np.flatnonzero(np.diff(self.owners)) + 1
    kept = [
      group[
        boxes_lib.suppress(
          self.boxes[group],
          self.scores[group],
          threshold,
          of_smaller=of_smaller,
        )
      ]
      for group in np.split(np.arange(len(self)), edges)
      if len(group)
    ]
    return self[np.concatenate([np.zeros(0, np.int64), *kept])]


@jax.jit(static_argnames='name')
def _apply(params: PyTree, images: AnyArray, *, name: str) -> Any:
  """A network's outputs for uint8 images."""
  network, _ = networks.NETWORKS[name]
  pixels = (images.astype(jnp.float32) - 127.5) / 128
  # Accelerators round products to 8 or 10 bits unless told: landmarks show it.
  with jax.default_matmul_precision('highest'):
    return network.apply({'params': params}, pixels)


def run_network(
  name: str, params: PyTree, images: UInt8[np.ndarray, 'n _ _ 3']
) -> list[np.ndarray]:
  """A network's outputs for any number of images, in batches of one size."""
  size = BATCH_SIZES[name]
  padding = -len(images) % size
  images = np.pad(images, ((0, padding), (0, 0), (0, 0), (0, 0)))
  batches = [
    _apply(params, images[i : i + size], name=name)
    for i in range(0, len(images), size)
  ]
  count = len(images) - padding
  return [
    np.concatenate([np.asarray(part) for part in parts])[:count]
    for parts in zip(*batches, strict=True)
  ]


def _tile_proposals(
  tile: pyramid.Tile,
  scores: np.ndarray,
  offsets: np.ndarray,
  threshold: float,
) -> Candidates:
  """Boxes of the windows of one tile that look like faces.

  Args:
    tile: which one.
    scores: float [h, w] of its canvas, one for every second pixel.
    offsets: float [h, w, 4] of its canvas.
    threshold: of the scores.
  """
  stride, cell = networks.PNET_STRIDE, networks.PNET_CELL
  column, row = (c // stride for c in tile.corner)
  columns, rows = ((side - cell) // stride + 1 for side in tile.size)
  area = (slice(row, row + rows), slice(column, column + columns))
  y, x = np.nonzero(scores[area] > threshold)
  found, moves = scores[area][y, x], offsets[area][y, x]
  if len(found) > MAX_PROPOSALS:
    best = np.argpartition(-found, MAX_PROPOSALS)[:MAX_PROPOSALS]
    y, x, found, moves = y[best], x[best], found[best], moves[best]
  corner = np.stack([x, y], axis=1) * stride + np.array(tile.origin)
  boxes = np.concatenate([corner, corner + cell], axis=1)
  boxes = boxes_lib.refine(boxes, moves) / np.tile(tile.scale, 2)
  return Candidates.of(np.full(len(found), tile.photo), boxes, found)


def propose(
  params: PyTree,
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  min_face_sizes: Sequence[float | int],
  *,
  scale_factor: float,
  threshold: float,
  overlaps: tuple[float, float] = (0.5, 0.7),
) -> Candidates:
  """P-Net: square boxes from a pyramid of every photo.

  Args:
    params: of the network.
    photos: uint8 [H, W, 3] each, RGB.
    min_face_sizes: pixels of the smallest face sought in every photo.
    scale_factor: between levels of the pyramid.
    threshold: of the score.
    overlaps: allowed between boxes within a level, then among all.
  """
  canvases, tiles = pyramid.pack(photos, min_face_sizes, scale_factor)
  if not tiles:
    return Candidates.joined([])
  scores, offsets = run_network('pnet', params, canvases)
  levels: dict[tuple[int, int], list[Candidates]] = {}
  for tile in tiles:
    found = _tile_proposals(
      tile, scores[tile.canvas], offsets[tile.canvas], threshold
    )
    levels.setdefault((tile.photo, tile.level), []).append(found)
  found = Candidates.joined(
    [
      Candidates.joined(parts).suppressed(overlaps[0])
      for parts in levels.values()
    ]
  ).suppressed(overlaps[1])
  return dataclasses.replace(found, boxes=boxes_lib.square(found.boxes))


def _look_closer(
  name: str,
  params: PyTree,
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  found: Candidates,
  side: int,
) -> tuple[np.ndarray, list[np.ndarray]]:
  """The boxes in whole pixels [n, 4], and a network's outputs for them."""
  boxes = windows.whole_pixels(found.boxes)
  cut = windows.cut_windows(photos, found.owners, boxes, side)
  return boxes, run_network(name, params, cut)


def refine(
  params: PyTree,
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  found: Candidates,
  *,
  threshold: float,
  overlap: float = 0.7,
) -> Candidates:
  """R-Net: fewer and better square boxes."""
  if not len(found):
    return found
  boxes, (scores, offsets) = _look_closer(
    'rnet', params, photos, found, networks.RNET_SIZE
  )
  moved = boxes_lib.refine(boxes, offsets)
  found = Candidates.of(found.owners, moved, scores)
  found = found[scores > threshold].suppressed(overlap)
  return dataclasses.replace(found, boxes=boxes_lib.square(found.boxes))


def decide(
  params: PyTree,
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  found: Candidates,
  *,
  threshold: float,
  overlap: float = 0.7,
) -> Candidates:
  """O-Net: faces with five landmarks."""
  if not len(found):
    return found
  boxes, (scores, offsets, landmarks) = _look_closer(
    'onet', params, photos, found, networks.ONET_SIZE
  )
  corner, side = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
  # Boxes count from the edge of the first pixel, landmarks from its centre.
  landmarks = corner + landmarks * side - 0.5
  moved = boxes_lib.refine(boxes, offsets)
  found = Candidates.of(found.owners, moved, scores, landmarks)
  return found[scores > threshold].suppressed(overlap, of_smaller=True)
