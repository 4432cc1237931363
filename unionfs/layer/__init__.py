"""A directory as a layer: what each name in it is, and how a layer is read and changed.

Owns every on-disk encoding: whiteouts, opaque marks, redirects, owners kept in attributes. Knows nothing of how
layers are stacked.
"""
