"""``make bench``: what the mounts of this project cost beside those of others, on the same layers, in one run."""
