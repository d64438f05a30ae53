"""Faces in photos: the MTCNN cascade, and which face a photo is of."""

from facejax.detection.detector import Face, FaceDetector, choose_face

__all__ = ['Face', 'FaceDetector', 'choose_face']
