"""Saving and restoring: training checkpoints, packed items, model folders."""
