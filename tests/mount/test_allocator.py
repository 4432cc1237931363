"""The daemon's memory is given back as its objects go, page by page."""

import json
import os
import subprocess
import sys

import pytest

# Many objects, of which one in a hundred stays: they keep nearly every arena of CPython's own allocator.
_PROGRAM = """
import gc, json, os, sys
from unionfs.linux.memory import release_free_memory
from unionfs.mount.allocator import use_returning_allocator

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1])

before = [str(number) * 3 for number in range(10000)]
if sys.argv[1] == "returning":
    use_returning_allocator()
start = resident()
many = [[str(number), bytes(100), (number, number + 1)] for number in range(200000)]
most = resident()
kept = many[::100]
# Those of the old allocator are freed and resized too.
before = [text + "x" for text in before[::2]]
del many
gc.collect()
release_free_memory()
json.dump([start, most, resident()], sys.stdout)
"""


def measured(how: str, **environment: str) -> list[int]:
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: list[int] = json.loads(result.stdout)
    return found


def test_what_few_objects_are_left_of_keeps_few_pages() -> None:
    start, most, end = measured("returning")
    assert end - start < (most - start) / 4


@pytest.mark.parametrize("chosen", ["pymalloc", "pymalloc_debug", "malloc_debug", "malloc", "debug"])
def test_an_allocator_that_was_chosen_stays(chosen: str) -> None:
    assert len(measured("returning", PYTHONMALLOC=chosen)) == 3


@pytest.mark.parametrize("option", [["-X", "dev"], ["-X", "tracemalloc"]])
def test_one_that_checks_or_traces_stays(option: list[str]) -> None:
    subprocess.run([sys.executable, *option, "-c", _PROGRAM, "returning"], stdout=subprocess.DEVNULL, check=True)


def test_ten_thousand_new_objects_are_searched_for_nothing() -> None:
    program = """
import gc
from unionfs.mount.allocator import collect_rarely
searches = []
collect_rarely()
gc.callbacks.append(lambda phase, info: searches.append(phase))
many = [[number] for number in range(10000)]
assert not searches and gc.get_freeze_count()
many = [[number] for number in range(100000)]
assert searches
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_threads_allocated_is_given_back_after_their_end() -> None:
    program = """
import gc, threading
from unionfs.linux.memory import release_free_memory
from unionfs.mount.allocator import use_returning_allocator

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1])

def work():
    many = [bytes(1000) for _ in range(2000)]
    here.wait()

use_returning_allocator()
start = resident()
here = threading.Barrier(11)
threads = [threading.Thread(target=work) for _ in range(10)]
for thread in threads:
    thread.start()
here.wait()
most = resident()
for thread in threads:
    thread.join()
gc.collect()
release_free_memory()
end = resident()
assert most - start > 4000
assert end - start < (most - start) / 10, (start, most, end)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
