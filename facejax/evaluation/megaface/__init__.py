"""Probes among a million distractors."""
