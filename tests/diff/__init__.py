"""Changes, as lines and as layers, against what other programs make of the same."""
