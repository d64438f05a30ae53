"""Rates of groups of people, and of damaged images."""
