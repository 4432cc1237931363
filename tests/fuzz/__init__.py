"""Random damage and random words, for a moment in the tests and for FUZZ_SECONDS in `make soak`."""
