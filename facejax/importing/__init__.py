"""Weights of other systems: their files, and what fits them here."""
