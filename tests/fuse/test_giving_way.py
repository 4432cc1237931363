"""Who answers lets whoever is answered run first, where it can and where that costs little."""

import os
import subprocess
import sys
import time

import pytest

from unionfs.fuse.giving_way import GivingWay

WITHOUT_RIGHTS = """
import os
from unionfs.fuse.giving_way import GivingWay
from unionfs.linux.process import keep_capabilities
keep_capabilities([])
giving_way = GivingWay()
giving_way.begin()
print(os.sched_getscheduler(0))
giving_way.end()
print(os.sched_getscheduler(0))
"""


def test_while_it_answers_a_thread_stands_behind_all_others() -> None:
    giving_way = GivingWay()
    for _ in range(3):
        giving_way.begin()
        assert os.sched_getscheduler(0) == os.SCHED_IDLE
        giving_way.end()
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_an_end_without_a_beginning_changes_nothing() -> None:
    GivingWay().end()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_it_rests_ten_times_as_long_as_coming_back_took() -> None:
    giving_way = GivingWay()
    giving_way.begin()
    time.sleep(0.01)
    giving_way.end()
    ended = time.perf_counter()
    giving_way.begin()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    giving_way.end()
    while os.sched_getscheduler(0) == os.SCHED_OTHER:
        giving_way.begin()
    assert time.perf_counter() - ended > 0.09
    giving_way.end()


def test_who_may_not_come_back_stays() -> None:
    command = [sys.executable, "-c", WITHOUT_RIGHTS]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert shown == [str(os.SCHED_OTHER)] * 2


@pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
def test_a_policy_chosen_by_the_user_is_left_alone(policy: str) -> None:
    program = (
        f"import os; os.sched_setscheduler(0, os.{policy}, os.sched_param(0))\n"
        "from unionfs.fuse.giving_way import GivingWay\n"
        "giving_way = GivingWay(); giving_way.begin(); print(os.sched_getscheduler(0)); giving_way.end()\n"
        "print(os.sched_getscheduler(0))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert shown == [str(getattr(os, policy))] * 2


def test_the_nice_level_is_kept() -> None:
    program = (
        "import os; before = os.nice(3)\n"
        "from unionfs.fuse.giving_way import GivingWay\n"
        "giving_way = GivingWay(); giving_way.begin(); giving_way.end(); print(os.nice(0) - before)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["0"]
