"""``unionfs unpack``: what it prints, and where."""

import fcntl
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.archive import build
from tests.image import documents
from tests.image.documents import encoded, sha256
from tests.mounts import mount, unmount_or_detach
from tests.store.images import BOTTOM, NAME, TOP, chain_ids, layout
from tests.tarball import archive, file
from unionfs.cli import main
from unionfs.image import Platform

TOOL = Path(__file__).resolve().parent.parent.parent / "tools" / "unpack_image"
Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *words: str | Path) -> tuple[int, str, str]:
    code = main(["unpack", *map(str, words)])
    return (code, *capsys.readouterr())


def test_text_is_a_line_for_each_layer_and_a_command_that_mounts_them(tmp_path: Path, capsys: Captured) -> None:
    code, output, errors = run(capsys, layout(tmp_path / "image", BOTTOM, TOP), tmp_path / "layers")
    bottom, top = (f"{tmp_path}/layers/sha256-{chain}" for chain in chain_ids(BOTTOM, TOP))
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        f"{sha256(BOTTOM)} {bottom}",
        f"{sha256(TOP)} {top}",
        "",
        "mount it with:",
        f"  unionfs mount -o lowerdir={top}:{bottom} MOUNTPOINT",
    ]


def test_json_describes_the_image(tmp_path: Path, capsys: Captured) -> None:
    source = layout(tmp_path / "image", BOTTOM, TOP)
    code, output, errors = run(capsys, source, tmp_path / "layers", "--format", "json")
    assert (code, errors) == (0, "")
    chains = chain_ids(BOTTOM, TOP)
    paths = [f"{tmp_path}/layers/sha256-{chain}" for chain in chains]
    described = json.loads(output)
    assert described.pop("config").startswith("sha256:")
    assert described == {
        "image": [NAME],
        "lowerdir": f"{paths[1]}:{paths[0]}",
        "layers": [
            {"diff_id": sha256(layer), "chain_id": f"sha256:{chain}", "path": path}
            for layer, chain, path in zip((BOTTOM, TOP), chains, paths, strict=True)
        ],
    }


def test_command_that_mounts_quotes_a_directory_for_the_shell(tmp_path: Path, capsys: Captured) -> None:
    target = tmp_path / "it's $HOME"
    _, output, _ = run(capsys, layout(tmp_path / "image", BOTTOM), target)
    line = output.splitlines()[-1]
    words = subprocess.run(["sh", "-c", f'printf "%s\\n" {line}'], capture_output=True, text=True, check=True).stdout
    assert words.splitlines()[3] == f"lowerdir={target}/sha256-{chain_ids(BOTTOM)[0]}"


def test_warnings_go_to_standard_error(tmp_path: Path, capsys: Captured) -> None:
    source = layout(tmp_path / "image", archive(file(b"f", xattrs={b"trusted.\x1b[2J": b"1"})))
    code, output, errors = run(capsys, source, tmp_path / "layers", "--format", "json")
    assert code == 0
    assert json.loads(output)
    (line,) = errors.splitlines()
    assert line.startswith("unionfs: warning: layer sha256:")
    assert r"trusted.\x1b[2J" in line


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        (archive(file(b"../\x1bx")), [], r"../\x1bx: "),
        (archive(file(b"big", bytes(5000))), ["--max-layer-bytes", "1000"], "--max-layer-bytes raises the limit"),
        (archive(file(b"1"), file(b"2")), ["--max-layer-entries", "1"], "--max-layer-entries raises the limit"),
        (archive() + bytes(5000), ["--max-layer-bytes", "1000"], "--max-layer-bytes raises the limit"),
        (archive(file(b"a/b/c/d")), ["--limit", "depth=2"], "2 directories deep (depth); --limit depth=N raises"),
        (archive(file(b"f", xattrs={b"user.k": b"x" * 999})), ["--limit=pax_record=99"], "--limit pax_record=N raises"),
    ],
)
def test_error_is_one_line(tmp_path: Path, capsys: Captured, layer: bytes, options: list[str], words: str) -> None:
    source = layout(tmp_path / "image", layer)
    code, output, errors = run(capsys, source, tmp_path / "layers", *options)
    assert (code, output) == (1, "")
    (line,) = errors.splitlines()
    assert line.startswith(f'unionfs: error: "{source}": {NAME}: layer {sha256(layer)}: ')
    assert words in line


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "Missing argument 'ARCHIVE'"),
        (["image"], "Missing argument 'DIR'"),
        (["image", "layers", "--frob"], "No such option"),
        (["image", "layers", "--max-layer-bytes", "0"], "0 is not in the range"),
        (["oci:image:a", "layers", "--image", "b"], "both name an image"),
        (["image", ""], "Invalid value for 'DIR': it is empty"),
        (["image", "layers", "--platform", "a b"], 'invalid platform "a b"'),
        (["image", "layers", "--limit", "depth"], "depth: write NAME=N, where NAME is one of archive_manifest, "),
        (["image", "layers", "--limit", "frob=1"], "frob=1: write NAME=N"),
        (["image", "layers", "--limit", "depth=0"], "depth=0: write NAME=N"),
        (["image", "layers", "--limit", "bytes=5"], "bytes=5: write NAME=N"),
    ],
)
def test_wrong_command_line_is_exit_code_2(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, words: list[str], text: str
) -> None:
    layout(tmp_path / "image", BOTTOM)
    monkeypatch.chdir(tmp_path)
    code, output, errors = run(capsys, *words)
    assert (code, output) == (2, "")
    (line,) = errors.splitlines()
    assert text in line


@pytest.mark.parametrize("name", [".lock", ".staging"])
def test_directory_that_can_not_be_used_is_named_by_its_path(tmp_path: Path, capsys: Captured, name: str) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    (tmp_path / "layers").mkdir(0o700)
    (tmp_path / "layers" / name).mkdir()
    mount("tmpfs", tmp_path / "layers" / name, "tmpfs")  # it can be neither opened as a file nor removed
    try:
        code, output, errors = run(capsys, source, tmp_path / "layers")
    finally:
        assert unmount_or_detach(tmp_path / "layers" / name)
    assert (code, output) == (1, "")
    assert errors.startswith(f"unionfs: error: {tmp_path}/layers/{name}: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--limit", "layers=1"], "the image's 2 layers are over the limit of 1 (layers); --limit layers=N raises"),
        (["--limit", "config=9"], "the limit is 9 (config); --limit config=N raises the limit"),
        (["--limit", "manifest=9", "--limit", "layers=2"], "the limit is 9 (manifest); --limit manifest=N raises"),
    ],
)
def test_limit_of_an_image_is_named_and_raised(
    tmp_path: Path, capsys: Captured, options: list[str], words: str
) -> None:
    source = layout(tmp_path / "image", BOTTOM, TOP)
    code, output, errors = run(capsys, source, tmp_path / "layers", *options)
    assert (code, output) == (1, "")
    assert words in errors
    raised = [option.split("=")[0] + "=99999" if "=" in option else option for option in options]
    assert run(capsys, source, tmp_path / "layers", *raised)[0] == 0


def test_missing_archive_is_exit_code_1(tmp_path: Path, capsys: Captured) -> None:
    code, output, errors = run(capsys, tmp_path / "nope", tmp_path / "layers")
    assert (code, output) == (1, "")
    assert errors == f"unionfs: error: {tmp_path}/nope: No such file or directory\n"


@pytest.mark.parametrize("words", [["--image", "demo:1"], ["--image", "@0"], ["--platform", "linux/amd64"]])
def test_image_may_be_chosen(tmp_path: Path, capsys: Captured, words: list[str]) -> None:
    code, _, errors = run(capsys, layout(tmp_path / "image", BOTTOM), tmp_path / "layers", *words)
    assert (code, errors) == (0, "")


def test_image_may_be_chosen_with_the_archive(tmp_path: Path, capsys: Captured) -> None:
    code, _, errors = run(capsys, f"oci:{layout(tmp_path / 'image', BOTTOM)}:demo:1", tmp_path / "layers")
    assert (code, errors) == (0, "")
    code, _, errors = run(capsys, f"oci:{tmp_path / 'image'}:nope:1", tmp_path / "layers")
    assert code == 1
    assert "nope" in errors


def several(tmp_path: Path, *tags: list[str]) -> Path:
    """Write a docker archive of one image for each list of tags."""
    images = [build.docker_image(f"img{number}", [BOTTOM], names) for number, names in enumerate(tags)]
    files = {path: content for image in images for path, content in image.items()}
    files["manifest.json"] = encoded([item for image in images for item in json.loads(image["manifest.json"])])
    path = tmp_path / "several.tar"
    path.write_bytes(build.tar(files))
    return path


def test_one_of_several_images_must_be_chosen(tmp_path: Path, capsys: Captured) -> None:
    source = several(tmp_path, ["a:1", "b:2"], [])
    code, output, errors = run(capsys, source, tmp_path / "layers")
    assert (code, output) == (1, "")
    names = "docker.io/library/a:1, docker.io/library/b:2; @1"
    assert errors == f"unionfs: error: {source}: there are 2 images, of which --image takes one: {names}\n"
    for selector in ("a:1", "docker.io/library/b:2", "@1"):
        assert run(capsys, source, tmp_path / "layers", "--image", selector)[0] == 0


def test_of_many_images_some_are_named(tmp_path: Path, capsys: Captured) -> None:
    _, _, errors = run(capsys, several(tmp_path, *[[f"a:{number}"] for number in range(30)]), tmp_path / "layers")
    assert errors.endswith("; docker.io/library/a:19; and 10 more\n")


def test_image_for_another_platform_is_unpacked_with_a_warning(tmp_path: Path, capsys: Captured) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    code, output, errors = run(capsys, source, tmp_path / "layers", "--platform", "linux/s390x")
    assert (code, errors) == (0, f"unionfs: warning: the image is for {Platform.host()}, not for linux/s390x\n")
    assert "lowerdir=" in output


def test_variant_of_this_machines_architecture_is_no_other_platform(tmp_path: Path, capsys: Captured) -> None:
    config = documents.config([sha256(BOTTOM)], variant="v99")
    image = build.OciImage([BOTTOM], config)
    source = build.tree(build.layout([image.entry()], image.blobs), tmp_path / "image")
    assert run(capsys, source, tmp_path / "layers")[2] == ""
    asked = f"linux/{config['architecture']}"
    assert "the image is for" in run(capsys, source, tmp_path / "layers", "--platform", asked)[2]


def piped(tmp_path: Path) -> bytes:
    layout(tmp_path / "image", BOTTOM)
    return subprocess.run(["tar", "-cf", "-", "-C", tmp_path / "image", "."], capture_output=True, check=True).stdout


def test_archive_may_come_from_standard_input(tmp_path: Path) -> None:
    finished = subprocess.run([TOOL, "-", tmp_path / "layers"], input=piped(tmp_path), capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert (tmp_path / "layers" / f"sha256-{chain_ids(BOTTOM)[0]}" / "etc/a").read_text() == "A"


def test_tool_of_its_own_does_the_same(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    words = (source, tmp_path / "layers", "--format", "json")
    finished = subprocess.run([TOOL, *words], capture_output=True, check=False, cwd="/")
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert json.loads(finished.stdout)["image"] == [NAME]


def on_terminal(*words: str | Path) -> tuple[int, bytes]:
    """Run the command with a terminal as its three standard streams; give its exit code and what appeared."""
    terminal, inside = pty.openpty()
    program = "import sys; from unionfs.cli import main; sys.exit(main())"
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    shown = b""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as screen:  # its end is EIO on Linux
        while piece := screen.read(65536):
            shown += piece
    return process.wait(), shown


def test_progress_shows_on_a_terminal(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", archive(file(b"big", os.urandom(30 << 20))))
    code, shown = on_terminal("unpack", source, tmp_path / "layers")
    assert code == 0
    assert b"MB" in shown
    assert b"lowerdir=" in shown


def test_who_is_waited_for_is_said_after_a_second(tmp_path: Path) -> None:
    source, target = layout(tmp_path / "image", BOTTOM), tmp_path / "layers"
    target.mkdir(0o700)
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([TOOL, source, target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said = process.stderr.readline()
        assert process.poll() is None
    output, errors = process.communicate(timeout=60)
    assert said == f"unionfs: waiting for process {os.getpid()}, which is unpacking into {target}\n"
    assert (process.returncode, errors) == (0, "")
    assert "lowerdir=" in output


def test_terminal_is_no_archive(tmp_path: Path) -> None:
    code, shown = on_terminal("unpack", "-", tmp_path / "layers")
    assert code == 2
    assert b"can't be read from a terminal" in shown
