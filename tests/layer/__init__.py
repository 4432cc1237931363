"""Tests of the layer room: what lies in one directory, and how a tar stream becomes one."""
