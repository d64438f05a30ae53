"""A model small enough to be written and loaded in a test in no time."""

import functools
import os
import tempfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from facejax import models
from facejax.checkpoint.model_directory import write_model_directory
from facejax.data.preprocessing import Preprocessing
from facejax.inference import FaceModel, load_model
from facejax.inference.description import describe_model
from facejax.models.face_net import FaceNet

RULES = (('.*kernel', 'filter'),)


class Tiny(FaceNet):
  """One strided convolution, one BatchNorm, one dense layer."""

  image_size: tuple[int, int] = (32, 32)
  embedding_size: int = 24

  def embed_faces(self, images, train):
    x = nn.Conv(8, (8, 8), strides=8, name='stem')(images)
    mean = self.variable('batch_stats', 'mean', jnp.ones, 8).value
    x = nn.tanh(x - mean.reshape(1, 1, 1, 8))
    x = x.reshape(len(x), -1)
    return nn.Dense(self.embedding_size, use_bias=False, name='dense')(x)


def registered():
  """A context in which `get_model('tiny')` works."""
  return mock.patch.dict(models.MODELS, {'tiny': Tiny})


PREPROCESSING = Preprocessing(image_size=(32, 32))


def make_variables(seed=0, **fields):
  images = jnp.zeros((1, 32, 32, 3))
  return jax.jit(lambda key: Tiny(**fields).init(key, images, False))(
    jax.random.key(seed)
  )


def write(path, *, rules=None, classifier=None, fields=None, **options):
  """Writes a tiny model directory; returns its variables."""
  fields = {'image_size': (32, 32), **(fields or {})}
  variables = make_variables(**fields)
  description = describe_model(
    variables,
    architecture='tiny',
    fields=fields,
    preprocessing=PREPROCESSING,
    rules=rules,
    **options,
  )
  write_model_directory(
    path,
    description=description,
    variables=variables,
    rules=rules,
    classifier=classifier,
  )
  return variables


@functools.cache
def loaded() -> FaceModel:
  """One that tests share which only embed with it."""
  with registered(), tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'model')
    write(path)
    return load_model(path, verify=False)


def random_faces(batch, size=112):
  shape = (batch, size, size, 3)
  return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
