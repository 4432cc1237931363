"""Running programs as workloads: their output goes nowhere, cheaply, and a failure tells what they said."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.bench.sizes import MIB


class CommandError(Exception):
    """A program failed; the text says which, and the last line of what it said."""


def run(
    *command: str | Path,
    accepted: Sequence[int] = (0,),
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> None:
    """Run *command* with its output read and thrown away.

    Raises:
        CommandError: it ended otherwise than with one of the codes *accepted*.
    """
    # tar and grep see when their output is /dev/null, and then don't read: they get a pipe.
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given, open(os.devnull, "wb") as nowhere:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=errors, env=dict(env or CLEAN_ENVIRONMENT)
        )
        try:
            assert process.stdout
            while os.splice(process.stdout.fileno(), nowhere.fileno(), MIB):
                pass
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode not in accepted:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise CommandError(f"{command[0]} ended with {process.returncode}: {said[-1] if said else 'no message'}")


CLEAN_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}
"""What a workload's programs see, whatever the caller has set."""
