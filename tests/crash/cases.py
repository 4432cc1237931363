"""Which case runs with which form of upper.

With ``UNIONFS_SOAK=1`` each case runs with each form, synced and volatile, and is killed after every single system
call. Otherwise the cases share the combinations out, and a call that changes nothing is passed over.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.crash.killing import Case
from tests.crash.stack import FORMS, Form

SOAK = os.environ.get("UNIONFS_SOAK") == "1"


def every(cases: Sequence[Case]) -> Callable[[Callable[..., Any]], Any]:
    """Parametrise a test by ``case``, ``form`` and ``volatile``."""
    return pytest.mark.parametrize(
        ("case", "form", "volatile"),
        [
            pytest.param(case, form, volatile, id=f"{case.name}-{form.name}{'-volatile' * volatile}")
            for case, form, volatile in _combinations(cases)
        ],
    )


def _combinations(cases: Sequence[Case]) -> list[tuple[Case, Form, bool]]:
    if SOAK:
        return [(case, form, volatile) for case in cases for form in _able(case) for volatile in (False, True)]
    return [(case, _able(case)[place % len(_able(case))], place % 7 == 0) for place, case in enumerate(cases)]


def _able(case: Case) -> list[Form]:
    return [form for form in FORMS.values() if form.name not in case.but_for]
