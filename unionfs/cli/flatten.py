"""``unionfs flatten``: an upper of this program becomes one that every overlay reads."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict

from unionfs.cli.arguments import Parser, UsageError
from unionfs.cli.layer_options import LOWER, WORK, add_layer_options, as_path, settings_of
from unionfs.cli.report import escape
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.mount.options import MountOptions, parse_settings
from unionfs.union.flatten import Copied, FlattenError, LowersNeededError, flatten, refuse_links

DESCRIPTION = """\
Make an upper that 'unionfs mount' wrote plain, so that the kernel's overlayfs with its default options and
fuse-overlayfs show the same over the same lower directories: no renamed directory that leads elsewhere, no file
without its content, all names of a hard link in the upper, whiteouts as devices 0:0. The upper must not be mounted.
If the command is interrupted or killed the upper shows what it showed before, and running it again completes it."""
EPILOG = """
The lower directories are needed where the upper takes something from them, and the upper's workdir where it has hard
links; give the -o of the mount. Without a workdir 'work' beside UPPER is taken, if it is one.

examples:
  unionfs flatten upper
  unionfs flatten upper --lower layers/app --lower layers/base --work work
  unionfs flatten -o lowerdir=layers/app:layers/base,upperdir=upper,workdir=work"""

_DESCRIPTORS = 512
_BETWEEN_REPORTS = 0.1


def main(arguments: Sequence[str]) -> int:
    """Flatten as *arguments* say.

    Raises:
        UsageError, OptionError: they can't be understood.
        FlattenError: the upper needs what wasn't given.
        OSError: the upper is in use, or can't be read or changed.
    """
    given = build_parser().parse_args(arguments)
    options, workdir_given = _options(given.upper, list(settings_of(given.settings)))
    assert options.upper is not None
    with _naming_what_is_missing(options.upper), _progress() as report:
        copied = _flatten(options, report, workdir_given=workdir_given)
    print(_as_json(options.upper, copied) if given.format == "json" else _as_text(options.upper, copied))
    return 0


def build_parser() -> Parser:
    """Give the parser of this command's arguments."""
    parser = Parser("flatten", DESCRIPTION, EPILOG)
    parser.add_argument("upper", metavar="UPPER", nargs="?", help="the upper directory")
    add_layer_options(parser, LOWER, WORK)
    parser.add_argument("--format", choices=["text", "json"], default="text", help="how to print the result")
    return parser


def _options(upper: str | None, settings: list[tuple[str, str | None]]) -> tuple[MountOptions, bool]:
    """Give what is to be flattened, as for a mount, and whether its workdir was named."""
    if upper is not None:
        settings.append(("upperdir", as_path(upper)))
    names = {name for name, _ in settings}
    if "upperdir" not in names:
        raise UsageError("the upper is missing; 'unionfs flatten --help' says more")
    if "workdir" in names:
        return parse_settings(settings), True
    options = parse_settings([*settings, ("workdir", "work")])
    assert options.upper is not None
    above = os.path.dirname(os.path.realpath(options.upper))
    beside = os.path.join(above, b"work")
    if _is_workdir(beside):
        return options._replace(work=beside), True
    own = b"." + os.path.basename(os.path.realpath(options.upper)) + b".unionfs-work"
    return options._replace(work=os.path.join(above, own)), False


def _is_workdir(path: bytes) -> bool:
    """Tell whether *path* is a directory as a mount leaves its workdir, or an empty one."""
    try:
        names = os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not names or names == [b"work"]


def _flatten(options: MountOptions, progress: "_Report", *, workdir_given: bool) -> Copied:
    assert options.upper is not None
    assert options.work is not None
    upper_options = UpperOptions(user_namespace=options.userxattr, patience=0)
    with (
        _made(options.work, keep=workdir_given),
        closing(Descriptors(_DESCRIPTORS)) as descriptors,
        closing(open_upper(options.upper, options.work, descriptors, upper_options)) as opened,
    ):
        if not workdir_given:
            refuse_links(opened.upper)
        lowers = [open_lower(path, place, descriptors) for place, path in enumerate(options.lowers)]
        return flatten(opened.upper, lowers, progress)


@contextmanager
def _made(workdir: bytes, *, keep: bool) -> Iterator[None]:
    """Have a workdir for the while, unless it is one to *keep*."""
    if keep:
        yield
        return
    os.makedirs(workdir, 0o700, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(workdir)


@contextmanager
def _naming_what_is_missing(upper: bytes) -> Iterator[None]:
    """Say in an error about the upper which option it asks for, and name the entry by its whole path."""
    try:
        yield
    except FlattenError as error:
        error.filename = os.path.join(upper, error.filename or b"").rstrip(b"/")
        if isinstance(error, LowersNeededError):
            error.strerror = f"{error.strerror}; name those with --lower or -o lowerdir="
        raise


class _Report:
    """Shows what was copied so far on a terminal."""

    def __init__(self) -> None:
        self._shown_at = 0.0

    def __call__(self, copied: Copied) -> None:
        """Show *copied*, now and then."""
        if sys.stderr.isatty() and time.monotonic() > self._shown_at + _BETWEEN_REPORTS:
            self._shown_at = time.monotonic()
            print(f"\r{_counts(copied)}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take away what was shown."""
        if self._shown_at:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def _progress() -> Iterator[_Report]:
    report = _Report()
    try:
        yield report
    finally:
        report.clear()


def _counts(copied: Copied) -> str:
    return f"{copied.directories} directories, {copied.files} files ({copied.bytes} bytes), {copied.links} links"


def _as_text(upper: bytes, copied: Copied) -> str:
    return escape(f"{os.fsdecode(upper)} is plain: {_counts(copied)} came from the lower directories")


def _as_json(upper: bytes, copied: Copied) -> str:
    return json.dumps({"upper": os.fsdecode(upper), **asdict(copied)}, indent=2)
