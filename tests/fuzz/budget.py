"""How long a random test goes on: for a fixed and repeatable number of examples, or for FUZZ_SECONDS with new ones."""

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def bounded(examples: int) -> settings:
    """Give the settings of a test that tries ``examples`` in `make test`, the same ones each time."""
    return settings(
        derandomize=not SECONDS,
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=_CHECKS,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )


def repeated(test: Callable[[], None]) -> None:
    """Call a random test once, or again and again for FUZZ_SECONDS."""
    end = time.monotonic() + SECONDS
    test()
    while time.monotonic() < end:
        test()
