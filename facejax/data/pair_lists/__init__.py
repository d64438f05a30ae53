"""Readers of pair lists, one for each form that the field writes."""
