"""Recipes: each `get_config(arg)` returns a whole training config."""
