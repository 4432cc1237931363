"""Running programs from a mount.

Source: execve(2): ETXTBSY; set-id bits; scripts.
"""

import os
import shutil
import stat
import subprocess
from errno import EACCES, ENOEXEC, ETXTBSY
from pathlib import Path

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import File

SLEEP = Path(shutil.which("sleep") or "/bin/sleep").read_bytes()
ID = Path(shutil.which("id") or "/bin/id").read_bytes()


@row(bottom={"script": File(b"#!/bin/sh\necho $0 $1\n", mode=0o755), "sleep": File(SLEEP, mode=0o755)})
def test_programs_and_scripts_of_a_lower_layer_run(place: Place) -> None:
    done = subprocess.run([place / "script", "argument"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(place / "script") + b" argument\n"
    subprocess.run([place / "sleep", "0"], check=True)


@row(bottom={"script": File(b"#!/bin/sh\necho lower\n", mode=0o644)})
def test_a_program_written_or_made_executable_through_the_mount_runs(place: Place) -> None:
    assert errno_of(subprocess.run, [place / "script"], check=True) == EACCES
    (place / "script").chmod(0o755)
    assert subprocess.run([place / "script"], capture_output=True, check=True).stdout == b"lower\n"
    shutil.copy(place / "script", place / "copy")
    with (place / "copy").open("ab") as file:
        file.write(b"echo added\n")
    assert subprocess.run([place / "copy"], capture_output=True, check=True).stdout == b"lower\nadded\n"
    (place / "garbage").write_bytes(b"\0\1\2")
    (place / "garbage").chmod(0o755)
    assert errno_of(subprocess.run, [place / "garbage"], check=True) == ENOEXEC


@row(upper={"sleep": File(SLEEP, mode=0o755)})
def test_a_running_program_of_the_upper_is_not_opened_for_writing(place: Place) -> None:
    with subprocess.Popen([place / "sleep", "60"]) as process:
        try:
            assert errno_of(os.open, place / "sleep", os.O_WRONLY) == ETXTBSY
            assert errno_of(os.truncate, place / "sleep", 0) == ETXTBSY
            (place / "sleep").chmod(0o700)
            (place / "sleep").unlink()
        finally:
            process.kill()


@row(upper={"sleep": File(SLEEP, mode=0o755)})
def test_a_program_open_for_writing_is_not_run(place: Place) -> None:
    with (place / "sleep").open("r+b"):
        assert errno_of(subprocess.run, [place / "sleep", "0"], check=True) == ETXTBSY
    subprocess.run([place / "sleep", "0"], check=True)


@row(bottom={"id": File(ID, mode=0o4755, uid=1234), "gid": File(ID, mode=0o2755, gid=4321)})
def test_set_id_programs_take_their_owners_id(place: Place) -> None:
    def run(name: str, *options: str) -> bytes:
        return subprocess.run([place / name, *options], capture_output=True, check=True).stdout

    assert as_user(lambda: run("id", "-u")) == b"1234\n"
    assert as_user(lambda: run("gid", "-g")) == b"4321\n"
    os.utime(place / "id", ns=(1, 2))
    assert as_user(lambda: run("id", "-u")) == b"1234\n"


@row(own=True, options=("nosuid",), bottom={"id": File(ID, mode=0o4755, uid=1234)}, on=UNIONS)
def test_set_id_programs_have_no_effect_on_a_nosuid_mount(place: Place) -> None:
    assert stat.S_IMODE((place / "id").stat().st_mode) == 0o4755
    done = as_user(lambda: subprocess.run([place / "id", "-u"], capture_output=True, check=True).stdout)
    assert done == b"65534\n"
