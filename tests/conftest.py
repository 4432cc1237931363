"""Puts the checkout on the path, so that tests share their builders as ``tests.…``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
