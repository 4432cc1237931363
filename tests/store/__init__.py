"""Tests of the store: images unpacked on disk, verified, whole, and durable."""
