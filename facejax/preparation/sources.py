"""Where the faces of a new set come from, behind one interface."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from facejax.array_typing import Int32
from facejax.data.images import encode_jpeg
from facejax.data.synthetic import SyntheticFaces


@runtime_checkable
class FaceSource(Protocol):
  """Encoded images of named people; an item is a number, not an object.

  Invariants: items are 0 .. N - 1 and stay the same while the source is open;
  names of identities differ; `labels` index them.

  Attributes:
    inputs: what the faces are read from, for the manifest.
    num_ignored: files that do not claim to be images.
    identities: names, by number.
    labels: int32 [N], the identity of every item, -1 where it has none.
  """

  inputs: list[str]
  num_ignored: int
  identities: Sequence[str]
  labels: Int32[np.ndarray, ' N']

  def path(self, item: int) -> str:
    """Of an item within its input, '/'-separated.

    The part after the last '/' names the image in the set.
    """

  def input_of(self, item: int) -> int:
    """The place in `inputs` of what an item is read from."""

  def read(self, item: int) -> bytes:
    """The encoded image of an item; callable from any thread.

    Raises:
      DataError: it is missing, corrupt or unsafe.
    """

  def why_nameless(self, item: int) -> str:
    """Why an item with the label -1 has none."""

  def claims(self) -> dict[str, Any]:
    """What headers and index say beside what was found, as JSON values.

    `inputs` has them by input; `notes` are sentences on what disagrees.
    """

  def fingerprint(self) -> str:
    """Changes when the items do; an interrupted preparation compares it."""


class SyntheticSource:
  """Drawn faces, encoded as JPEG."""

  num_ignored = 0

  def __init__(
    self, num_identities: int, images_per_identity: int, *, seed: int = 0
  ):
    """Raises UsageError where `SyntheticFaces` does."""
    self._faces = SyntheticFaces(num_identities, images_per_identity, seed=seed)
    self._images_per_identity = images_per_identity
    self.inputs = [repr(self._faces)]
    self.identities = self._faces.identities
    self.labels = np.repeat(
      np.arange(num_identities, dtype=np.int32), images_per_identity
    )

  def path(self, item: int) -> str:
    """'IDENTITY/0000.jpg'."""
    label, image = divmod(item, self._images_per_identity)
    return f'{self.identities[label]}/{image:04d}.jpg'

  def input_of(self, item: int) -> int:
    """There is one input."""
    del item
    return 0

  def read(self, item: int) -> bytes:
    """Draws and encodes one."""
    return encode_jpeg(self._faces[item]['image'])

  def why_nameless(self, item: int) -> str:
    """Never asked: everybody drawn has a name."""
    del item
    return 'has none'

  def claims(self) -> dict[str, Any]:
    """Nothing beyond what the items say."""
    return {'inputs': {}, 'notes': []}

  def fingerprint(self) -> str:
    """Of the arguments, which determine every pixel."""
    return hashlib.sha256(self.inputs[0].encode()).hexdigest()
