"""Scores of very many pairs on devices: counted, ranked, never all stored."""
