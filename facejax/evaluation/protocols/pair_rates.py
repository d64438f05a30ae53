"""Which false-accept rates all pairs of some images can show."""

from collections.abc import Sequence

import numpy as np

from facejax.data.identification_lists import folder_identities
from facejax.errors import DataError
from facejax.evaluation import rates


def choose_fars(
  names: Sequence[str],
  fars: Sequence[float | int] | None,
  *,
  usual: Sequence[float],
) -> list[float]:
  """The rates to report, before anything is embedded.

  Args:
    names: IDENTITY/image files whose pairs are all compared.
    fars: as asked for, if they were.
    usual: else those of these that the pairs resolve, or, where they resolve
      none, the decades that they do.

  Raises:
    DataError: an image lies in no folder, or there are pairs of one kind only.
    UsageError: the pairs do not resolve a rate that was asked for.
  """
  if not names:
    raise DataError('there are no images: give IDENTITY/image files')
  people, images = np.unique(folder_identities(names), return_counts=True)
  if len(people) < 2:
    raise DataError(
      f'{len(names)} images of {len(people)} people: add images of others, in '
      'folders of their own, so that there are pairs of different people'
    )
  if images.max() < 2:
    raise DataError(
      f'each of the {len(people)} people has one image only: add second ones, '
      'so that there are pairs of one person'
    )
  count = int(images.sum() ** 2 - (images**2).sum()) // 2
  if fars is None:
    found = rates.resolvable_fars(count)
    return [far for far in found if far in usual] or list(found)
  for far in fars:
    rates.check_far(far, count)
  return [float(far) for far in fars]
