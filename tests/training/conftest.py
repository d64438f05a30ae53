"""The second run of the suite, for tests that continue one."""

import pytest

from tests.training import tiny_recipe


@pytest.fixture(scope='session')
def short(face_set, tmp_path_factory):
  """Three float steps; copy its folder before changing it."""
  return tiny_recipe.train(
    face_set,
    tmp_path_factory.mktemp('short'),
    total_steps=tiny_recipe.TERNARY_FROM,
    checkpoint__every_steps=1,
    checkpoint__keep=1,
  )
