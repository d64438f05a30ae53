"""Faces in: archives, images, crops, prepared sets, pipelines, pair lists."""
