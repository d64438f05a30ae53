"""How long identification takes, image by image: S, S1 and S2 of spec 7.2."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import Array, Float, Int, UInt8

REPEATS = 5
NUM_IMAGES, NUM_PROBES = 32, 256  # that each repeat goes through


def machine() -> dict[str, Any]:
  """JSON values that name the machine."""
  device = jax.devices()[0]
  return {
    'processor': processor(),
    'platform': platform.platform(),
    'backend': jax.default_backend(),
    'device_kind': device.device_kind,
    'num_devices': jax.device_count(),
    'jax': jax.__version__,
  }


def processor() -> str:
  """What its maker calls the processor, where Linux says it."""
  try:
    with open('/proc/cpuinfo') as file:
      for line in file:
        if line.startswith('model name'):
          return line.split(':', 1)[1].strip()
  except OSError:
    pass
  return platform.processor() or platform.machine()


def interleaved_medians(
  runs: Mapping[str, Callable[[], Any]], *, repeats: int = REPEATS
) -> dict[str, float]:
  """Median durations of several calls that are to be compared.

  Every round calls each of them once, so that other work on the machine hits
  all alike; a round before, which compiles and warms, does not count.

  Args:
    runs: what is timed, by name; each as of `median_seconds`.
    repeats: rounds.
  """
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  for _ in range(repeats + 1):
    for name, run in runs.items():
      start = time.perf_counter()
      jax.block_until_ready(run())
      seconds[name].append(time.perf_counter() - start)
  return {name: statistics.median(each[1:]) for name, each in seconds.items()}


def single_images(
  crops: UInt8[np.ndarray, 'N 112 112 3'], *, flip: bool
) -> list[UInt8[np.ndarray, 'B 112 112 3']]:
  """What each call of a model gets where photos come alone.

  Args:
    crops: the faces.
    flip: whether the mirrored image goes through the same call.
  """
  return [
    np.stack([crop, crop[:, ::-1]]) if flip else crop[None] for crop in crops
  ]


def median_seconds(run: Callable[[], Any], *, repeats: int = REPEATS) -> float:
  """Median duration of a call, after one that compiles and warms the caches.

  Args:
    run: what is timed, to the end: it gives arrays, or nothing.
    repeats: timed calls.
  """
  jax.block_until_ready(run())
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(run())
    seconds.append(time.perf_counter() - start)
  return statistics.median(seconds)


@jax.jit
def _best_match(
  gallery: Float[Array, 'G D'], probe: Float[Array, ' D']
) -> tuple[Float[Array, ''], Int[Array, '']]:
  """Score and row of the gallery's most similar image."""
  scores = jnp.dot(gallery, probe, precision=lax.Precision.HIGHEST)
  row = jnp.argmax(scores)
  return scores[row], row


def time_identification(
  extract: Callable[[UInt8[np.ndarray, 'B 112 112 3']], Any],
  crops: UInt8[np.ndarray, 'N 112 112 3'],
  gallery: Float[np.ndarray, 'G D'],
  probes: Float[np.ndarray, 'Q D'],
  *,
  flip: bool,
) -> dict[str, Any]:
  """Times extraction and matching as a user's single photo meets them.

  S1' is the median over five passes of the time of one call of the model for
  each image: from decoded pixels in memory to all that matching needs. Where
  a mode needs the mirrored image, or a model gives codes and features, it is
  still one call and one pass. S2' is the median over five passes of the time
  to find one probe's best match in the whole gallery. S = S1 + S2, with
  S1 = S1' (G + Q) and S2 = S2' Q, as if every image of the protocol came
  alone. All is compiled and warm before.

  Args:
    extract: crops to arrays, a call of the model.
    crops: uint8 [N, 112, 112, 3]; those that are timed.
    gallery: float32 [G, D], features.
    probes: float32 [Q, D]; the first 256 are timed.
    flip: whether the mirrored image goes through the same call.

  Returns:
    JSON values: `total_s` (S), `extraction_s` (S1), `matching_s` (S2),
    `extraction_ms_per_image` (S1'), `matching_us_per_probe` (S2'), and what
    they were measured on.

  References:
    spec 7.2.
  """
  singles = single_images(crops, flip=flip)
  on_device, timed = jax.device_put(gallery), probes[:NUM_PROBES]

  def extract_all() -> None:
    for images in singles:
      jax.block_until_ready(extract(images))

  def match_all() -> None:
    for probe in timed:
      jax.device_get(_best_match(on_device, probe))

  per_image = median_seconds(extract_all) / len(singles)
  per_probe = median_seconds(match_all) / len(timed)
  extraction = per_image * (len(gallery) + len(probes))
  matching = per_probe * len(probes)
  return {
    'total_s': extraction + matching,
    'extraction_s': extraction,
    'matching_s': matching,
    'extraction_ms_per_image': 1e3 * per_image,
    'matching_us_per_probe': 1e6 * per_probe,
    'num_images': len(gallery) + len(probes),
    'num_gallery': len(gallery),
    'num_probes': len(probes),
    'num_timed_images': len(singles),
    'num_timed_probes': len(timed),
    'images_per_call': 2 if flip else 1,
    'batch_size': 1,
    'repeats': REPEATS,
    'machine': machine(),
  }
