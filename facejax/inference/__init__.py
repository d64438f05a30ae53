"""A finished model in use: load it, embed faces and photos, compare two."""

from facejax.inference.face_model import FaceModel, load_model
from facejax.inference.photos import EmbeddedPhoto, embed_photos
from facejax.inference.verification import Verdict, verify

__all__ = [
  'EmbeddedPhoto',
  'FaceModel',
  'Verdict',
  'embed_photos',
  'load_model',
  'verify',
]
