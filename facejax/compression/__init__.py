"""Passes over parameter trees: ternary weights, packed trees, size ledger."""
