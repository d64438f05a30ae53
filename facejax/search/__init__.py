"""Search among faces: exact kernels (`scan`), and an index on disk (`index`).

Nothing is imported here, so that a reader of an index needs no more than it
uses.
"""
