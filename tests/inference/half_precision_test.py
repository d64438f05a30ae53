"""Computing in bfloat16 is a setting of the user, not of the model."""

import os

import chex
import jax.numpy as jnp
import numpy as np

import facejax
from facejax.checkpoint.model_directory import write_model_directory
from facejax.data.preprocessing import Preprocessing
from facejax.errors import UsageError
from facejax.inference.description import describe_model
from facejax.models import get_model
from tests.inference.tiny_model import random_faces
from tests.models.numpy_variables import numpy_variables

FIELDS = {'image_size': (32, 32), 'width': 0.25, 'stages': ((2, 64, 1, 2),)}


class HalfPrecisionTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'model')
    variables = numpy_variables(
      get_model('mobilefacenet', **FIELDS),
      jnp.zeros((1, 32, 32, 3)),
      False,
      drawn=True,
    )
    description = describe_model(
      variables,
      architecture='mobilefacenet',
      fields=FIELDS,
      preprocessing=Preprocessing(image_size=(32, 32)),
    )
    write_model_directory(
      self.path, description=description, variables=variables
    )

  def test_embeddings_are_near_those_in_float32(self):
    faces = random_faces(4)
    exact = facejax.load_model(self.path).embed(faces)
    half = facejax.load_model(self.path, dtype='bfloat16').embed(faces)
    self.assertEqual(half.dtype, np.float32)
    cosine = (exact * half).sum(1)
    self.assertGreater(cosine.min(), 0.999)
    self.assertLess(cosine.max(), 1 - 1e-7)  # it was really computed so

  def test_a_type_that_is_none_is_refused(self):
    for dtype in ('int8', 'float17'):
      with self.assertRaisesRegex(UsageError, 'use float32, bfloat16'):
        facejax.load_model(self.path, dtype=dtype)
