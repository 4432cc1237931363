"""Making and removing many files: what unpacking, building and cleaning do."""

import os

from tools.bench.commands import run
from tools.bench.inputs import GIT_ENVIRONMENT
from tools.bench.workload import Group, Mounted, Place, Workload

_PACKAGES = "usr/lib/python3/dist-packages"


def _empty(place: Place) -> None:
    place.directory.mkdir()


def _remove(place: Place) -> None:
    # Not shutil.rmtree, which gives up where overlayfs gives a directory that it had forgotten another number.
    run("rm", "-rf", place.directory)


def _untar(place: Place) -> None:
    run("tar", "-xf", place.inputs.archive, "-C", place.directory)


def _empty_and_untar(place: Place) -> None:
    _empty(place)
    _untar(place)


def _remove_lower_files(place: Place) -> None:
    run("rm", "-rf", place.merged / _PACKAGES)


def _copy(place: Place) -> None:
    run("cp", "-a", place.merged / _PACKAGES, place.directory / "copy")


def _clone(place: Place) -> None:
    command = ("git", "clone", "-q", "--no-hardlinks", place.inputs.repository, place.directory / "clone")
    run(*command, env=GIT_ENVIRONMENT)


def _empty_and_clone(place: Place) -> None:
    if not place.directory.exists():
        _empty(place)
        _clone(place)


def _status(place: Place) -> None:
    run("git", "-C", place.directory / "clone", "status", "--porcelain", env=GIT_ENVIRONMENT)


def _create(place: Place) -> None:
    directory = str(place.directory)
    for number in range(place.sizes.created_files):
        os.close(os.open(f"{directory}/created{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def _empty_and_create(place: Place) -> None:
    _empty(place)
    _create(place)


def _unlink(place: Place) -> None:
    directory = str(place.directory)
    for number in range(place.sizes.created_files):
        os.unlink(f"{directory}/created{number}")


def _change_owners(place: Place) -> None:
    run("chown", "-R", "1000:1000", place.merged)


_WRITING = Group.WRITING

WORKLOADS = (
    Workload("git status", Group.WRITABLE, _status, _empty_and_clone),
    Workload("untar", _WRITING, _untar, _empty, _remove),
    Workload("rm -rf", _WRITING, _remove, _empty_and_untar),
    Workload("rm -rf of lower files", _WRITING, _remove_lower_files, mounted=Mounted.EACH),
    Workload("cp -a", _WRITING, _copy, _empty, _remove),
    Workload("git clone", _WRITING, _clone, _empty, _remove),
    Workload("create", _WRITING, _create, _empty, _remove),
    Workload("unlink", _WRITING, _unlink, _empty_and_create, _remove),
    Workload("chown -R of the image", _WRITING, _change_owners, mounted=Mounted.EACH),
)
