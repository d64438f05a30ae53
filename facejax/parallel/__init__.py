"""Meshes, shardings by rule, and the class-sharded head."""
