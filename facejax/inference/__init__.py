"""A finished model in use: load it, embed faces."""

from facejax.inference.face_model import FaceModel, load_model

__all__ = ['FaceModel', 'load_model']
