"""A directory of very many names, all in one layer or merged from several."""

import os
from collections.abc import Callable
from pathlib import Path

from tools.bench.commands import run
from tools.bench.inputs import SPREAD, Inputs
from tools.bench.workload import Group, Mounted, Place, Workload


def _list(place: Place) -> None:
    found = len(os.listdir(place.merged / "names"))
    if found != place.sizes.names:
        raise OSError(f"{found} names are listed")


def _list_long(place: Place) -> None:
    run("ls", "-l", place.merged / "names")


def _in_one(inputs: Inputs) -> tuple[Path, ...]:
    return (inputs.names_in_one,)


def _spread(inputs: Inputs) -> tuple[Path, ...]:
    return inputs.names_spread


def _workloads(title: str, layers: Callable[[Inputs], tuple[Path, ...]]) -> tuple[Workload, ...]:
    return (
        Workload(f"first listing, {title}", Group.NAMES, _list, mounted=Mounted.EACH, layers=layers),
        Workload(f"first ls -l, {title}", Group.NAMES, _list_long, mounted=Mounted.EACH, layers=layers),
        Workload(f"ls -l, {title}", Group.NAMES, _list_long, layers=layers),
    )


WORKLOADS = (*_workloads("one layer", _in_one), *_workloads(f"{SPREAD} layers", _spread))
