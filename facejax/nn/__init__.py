"""Linen layers that several architectures share."""
