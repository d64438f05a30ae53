"""Protocols, metrics and reports: what a model is worth, and by which rule."""
