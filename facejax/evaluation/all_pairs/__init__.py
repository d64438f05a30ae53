"""Every pair of a set, with intervals over people."""
