"""From nothing to the first byte of a file: what a container's start waits for."""

from tools.bench.workload import Group, Mounted, Place, Workload


def _mount_and_read(place: Place) -> None:
    place.mount()
    with open(place.merged / "usr/lib/os-release", "rb", buffering=0) as file:
        if not file.read(1):
            raise OSError("the file is empty")


def _workload(*, writable: bool) -> Workload:
    return Workload(
        name=f"mount to first byte, {'writable' if writable else 'read-only'}",
        group=Group.START,
        run=_mount_and_read,
        mounted=Mounted.TIMED,
        writable=writable,
    )


WORKLOADS = (_workload(writable=False), _workload(writable=True))
