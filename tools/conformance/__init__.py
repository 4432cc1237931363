"""``make conformance``: suites that others wrote, from checkouts that the caller has, on our mounts and overlayfs's."""
