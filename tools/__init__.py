"""Developers' scripts and the unpack helper: thin fronts over the package."""
