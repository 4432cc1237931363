"""This program installed where every user can run it, wherever the checkout and its ``.venv`` lie.

All that mounting loads is copied, and run by the interpreter that ``.venv`` was made from.
"""

import compileall
import importlib.util
import os
import shutil
import sys
from pathlib import Path

LOADED = ("unionfs", "xattr", "_cffi_backend")
"""What mounting loads beside Python's own library: a package or module each."""
SCRIPT = """\
#!{interpreter} -I
import sys
sys.path.insert(0, "{library}")
from unionfs.cli.overlay import main
sys.exit(main())
"""
INTERPRETER = os.path.realpath(sys.executable)


def install(program: Path, root: Path) -> None:
    """Let *program*, a path as seen where *root* is the root, be ``unionfs-overlay``."""
    library = program.with_name("library")
    on_disk = root / library.relative_to("/")
    on_disk.mkdir(parents=True)
    for name in LOADED:
        _copy(name, on_disk)
    compileall.compile_dir(on_disk, quiet=1)
    script = root / program.relative_to("/")
    script.write_text(SCRIPT.format(interpreter=INTERPRETER, library=library))
    for path in (script, on_disk, on_disk.parent):
        path.chmod(0o755)


def _copy(name: str, library: Path) -> None:
    found = importlib.util.find_spec(name)
    assert found is not None, name
    if found.submodule_search_locations:
        shutil.copytree(found.submodule_search_locations[0], library / name)
    else:
        assert found.origin is not None, name
        shutil.copy2(found.origin, library)
