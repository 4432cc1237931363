"""Attacks by a hostile image: nothing outside the layer changes, and resources stay bounded."""
