"""What the programs in a mount work on, made locally: Debian packages, a git repository, a wheel, C sources."""

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Tester", "GIT_AUTHOR_EMAIL": "tester@localhost", "GIT_AUTHOR_DATE": "2024-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "Tester", "GIT_COMMITTER_EMAIL": "tester@localhost",
    "GIT_COMMITTER_DATE": "2024-01-02T03:04:05Z", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    # The content of a pack depends on the threads that made it.
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "pack.threads", "GIT_CONFIG_VALUE_0": "1",
}  # fmt: skip
_POSTINST = """\
#!/bin/sh
set -e
getent group larder >/dev/null || groupadd --system larder
getent passwd larder >/dev/null || useradd --system --gid larder --home-dir /var/lib/larder larder
chown -R larder:larder /var/lib/larder
chmod 2770 /var/lib/larder
setcap cap_net_bind_service=ep /usr/bin/larder
update-alternatives --install /usr/bin/pantry pantry /usr/bin/larder 10
"""
_PREINST = """\
#!/bin/sh
set -e
dpkg-divert --package larder --add --rename --divert /usr/bin/who.diverted /usr/bin/who
"""
_PRERM = """\
#!/bin/sh
set -e
[ "$1" = upgrade ] || update-alternatives --remove pantry /usr/bin/larder
"""
_POSTRM = """\
#!/bin/sh
set -e
[ "$1" != remove ] || dpkg-divert --package larder --remove --rename --divert /usr/bin/who.diverted /usr/bin/who
[ "$1" != purge ] || rm -rf /var/lib/larder
"""


def write_files(directory: Path, files: Mapping[str, str], *, mode: int = 0o644) -> None:
    """Write text files beneath ``directory``."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
        (directory / name).chmod(mode)


def build_repository(directory: Path, scratch: Path) -> None:
    """Build a flat apt repository: ``larder``, in two versions, depends on ``liblarder``."""
    directory.mkdir()
    _build_package(scratch / "lib", directory, "liblarder", "1.0", "", {"usr/share/larder/shelves": "three\n"}, {})
    scripts = {"preinst": _PREINST, "postinst": _POSTINST, "prerm": _PRERM, "postrm": _POSTRM}
    for version in ("1.0", "2.0"):
        files = {
            "usr/bin/larder": f"#!/bin/sh\necho larder {version} has $(cat /usr/share/larder/shelves) shelves\n",
            "usr/bin/who": "#!/bin/sh\necho the cook\n",
            "etc/larder.conf": f"# of version {version}\n",
            "var/lib/larder/stock": "flour\n",
            **{f"usr/share/larder/{version}/{number:03}": f"{number}\n" for number in range(200)},
        }
        _build_package(scratch / version, directory, "larder", version, "liblarder (>= 1.0)", files, scripts)
    packages = sorted(directory.glob("*.deb"))
    (directory / "Packages").write_text("\n".join(map(_index_entry, packages)))


def _build_package(
    tree: Path,
    directory: Path,
    name: str,
    version: str,
    depends: str,
    files: Mapping[str, str],
    scripts: Mapping[str, str],
) -> None:
    write_files(tree, files)
    for program in (tree / "usr/bin").glob("*"):
        program.chmod(0o4755)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tester <tester@localhost>\n"
    control += (f"Depends: {depends}\n" if depends else "") + "Description: made by a test\n"
    write_files(tree / "DEBIAN", {"control": control, "conffiles": "/etc/larder.conf\n" if scripts else ""})
    write_files(tree / "DEBIAN", scripts, mode=0o755)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, directory], check=True, stdout=subprocess.DEVNULL
    )


def _index_entry(package: Path) -> str:
    fields = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
    content = package.read_bytes()
    return f"{fields}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"


def build_wheel(directory: Path) -> None:
    """Build the wheel of a package with a command and some modules."""
    directory.mkdir()
    information = "larder-1.0.dist-info"
    files = {
        "larder/__init__.py": "from larder.shelf0 import WHAT\n\ndef main():\n    print('wheel has', WHAT)\n",
        **{f"larder/shelf{number}.py": f"WHAT = 'jar {number}'\n" for number in range(60)},
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: larder\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "[console_scripts]\nlarder = larder:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{information}/RECORD"])
    with zipfile.ZipFile(directory / "larder-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in {**files, f"{information}/RECORD": record}.items():
            wheel.writestr(name, text)


def build_git_repository(directory: Path, scratch: Path, files: int = 400) -> None:
    """Build a bare repository of three commits with that many files in forty directories."""
    scratch.mkdir()
    write_files(scratch, {f"part{number % 40}/file{number}": f"{number}\n" * 40 for number in range(files)})
    commands = [
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "add", "."],
        ["git", "commit", "--quiet", "--message=all of it"],
        ["git", "rm", "--quiet", "-r", "part3"],
        ["git", "mv", "part5", "part50"],
        ["git", "commit", "--quiet", "--message=moved"],
        ["git", "checkout", "--quiet", "-b", "side", "HEAD~1"],
        ["git", "rm", "--quiet", "-r", "part7"],
        ["git", "commit", "--quiet", "--message=aside"],
        ["git", "checkout", "--quiet", "main"],
        ["git", "clone", "--quiet", "--bare", "--no-hardlinks", ".", str(directory)],
    ]
    for command in commands:
        subprocess.run(command, cwd=scratch, env={**os.environ, **GIT_ENVIRONMENT}, check=True)


def write_c_program(directory: Path, modules: int = 12) -> None:
    """Write a C program of many modules with its makefile, or rather a shell script that does as one."""
    names = [f"module{number}" for number in range(modules)]
    write_files(directory, {
        **{
            f"{name}.c": f'#include "all.h"\nint {name}(void) {{ return {number}; }}\n'
            for number, name in enumerate(names)
        },
        "all.h": "".join(f"int {name}(void);\n" for name in names),
        "main.c": '#include <stdio.h>\n#include "all.h"\nint main(void) {\n    printf("%d\\n", '
        + " + ".join(f"{name}()" for name in names) + ");\n    return 0;\n}\n",
        "build": "#!/bin/sh\nset -e\n"
        'for source in *.c; do gcc -c -fPIC -o "${source%.c}.o" "$source"; done\n'
        "rm -f libmodules.a\nar rcD libmodules.a module*.o\nranlib -D libmodules.a\n"
        "gcc -o static main.o libmodules.a\n"
        "gcc -shared -Wl,--build-id=none -o libmodules.so module*.o\n"
        "gcc -o shared main.o -L. -lmodules -Wl,-rpath,'$ORIGIN'\n"
        "./static\n./shared\n",
    })  # fmt: skip
    (directory / "build").chmod(0o755)


def lay_out(directory: Path, scratch: Path) -> None:
    """Make all of them in ``directory``, with ``scratch`` for what they are made of."""
    scratch.mkdir()
    build_repository(directory / "repository", scratch)
    build_wheel(directory / "wheels")
    build_git_repository(directory / "project.git", scratch / "git")
    write_c_program(directory / "program")
