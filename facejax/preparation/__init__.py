"""Preparation of data sets: collecting, checking and writing them."""
