"""Unpack an image archive into layer directories: ``unionfs unpack`` under a name of its own."""

import sys

from unionfs.cli import main

if __name__ == "__main__":
    sys.exit(main(["unpack", *sys.argv[1:]]))
