"""A tiny model with a hash layer, as a directory."""

from facejax.checkpoint.model_directory import write_model_directory
from facejax.inference.description import describe_model
from tests.inference import tiny_model

BITS = 16


def write(path):
  """Writes the model, inside `tiny_model.registered()`; gives its path."""
  fields = {'image_size': (32, 32), 'hash_bits': BITS}
  variables = tiny_model.make_variables(**fields)
  description = describe_model(
    variables,
    architecture='tiny',
    fields=fields,
    preprocessing=tiny_model.PREPROCESSING,
  )
  write_model_directory(path, description=description, variables=variables)
  return path
