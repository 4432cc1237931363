"""What the daemon gives up, looked at from inside a process of its own."""

import json
import resource
import subprocess
import sys

PROGRAM = """
import json, os, resource, sys, threading
from unionfs.linux.process import CAPABILITIES, set_dumpable
from unionfs.mount.hardening import harden, raise_descriptor_limit

raise_descriptor_limit()
if sys.argv[2] != "0":
    os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
    set_dumpable(True)  # as it is for a program that this user starts
harden(mounted_by_itself=sys.argv[1] == "itself")
status = {}

def look():
    with open("/proc/thread-self/status") as file:
        status.update(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)

thread = threading.Thread(target=look)
thread.start()
thread.join()
held = int(status["CapEff"], 16)
json.dump(
    {
        "held": sorted(name for name, bit in CAPABILITIES.items() if held >> bit & 1),
        "count": held.bit_count(),
        "no_new_privs": status["NoNewPrivs"],
        "umask": status["Umask"],
        "owner": os.stat("/proc/self/environ").st_uid,
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
    },
    sys.stdout,
)
"""


def hardened(how: str, uid: int = 0) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, str(uid)], capture_output=True, text=True, check=True, umask=0o27
    )
    facts = json.loads(result.stdout)
    assert isinstance(facts, dict)
    return facts


def test_a_root_daemon_keeps_only_the_capabilities_it_uses() -> None:
    facts = hardened("itself")
    kept = ["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "mknod", "setfcap", "sys_admin", "sys_nice"]
    assert facts["held"] == kept
    assert facts["count"] == len(kept)


def test_modes_are_not_masked_by_the_umask_of_the_daemon() -> None:
    assert hardened("itself")["umask"] == "0000"


def test_no_program_run_later_gains_rights_unless_fusermount_must() -> None:
    assert hardened("itself")["no_new_privs"] == "1"
    assert hardened("fusermount")["no_new_privs"] == "0"


def test_a_user_without_rights_is_hardened_too_and_cannot_be_traced() -> None:
    facts = hardened("fusermount", uid=65534)
    assert facts["held"] == []
    assert facts["owner"] == 0, "a process that may be dumped owns its files under /proc"


def test_as_many_descriptors_as_the_hard_limit_allows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hardened("itself")["descriptors"] == [hard, hard]
