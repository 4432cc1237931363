#!/bin/sh
# Sets up what 'make demo', 'make test', 'make conformance' or 'make bench' needs: Debian packages, /dev/fuse, .venv with
# this package in it. Usage: tools/setup.sh demo|test|conformance|bench. Does nothing, quickly, where everything is there already.
set -eu
cd "$(dirname "$0")/.."

purpose=${1:?usage: tools/setup.sh demo|test|conformance|bench}
python=${PYTHON:-/usr/bin/python3}

# pyfuse3 is compiled against libfuse; the demo builds its image with buildah around busybox.
packages='fuse3 libfuse3-dev pkg-config gcc libc6-dev python3 python3-dev python3-venv buildah busybox-static'
extra=''
if [ "$purpose" = test ]; then
    # The tools that write the images, layers and overlays that the tests compare with, and what looks at the results.
    packages="$packages attr acl libcap2-bin strace groff-base git e2fsprogs btrfs-progs util-linux procps bzip2 xz-utils zstd uidmap
        podman skopeo umoci runc crun docker-registry fuse-overlayfs mmdebstrap stress-ng containerd zsh fish"
    extra='[dev]'
elif [ "$purpose" = conformance ]; then
    # What the suites run; pjdfstest names its files by openssl.
    packages="$packages openssl util-linux"
elif [ "$purpose" = bench ]; then
    # What the benchmark compares with, makes its layers with, and runs. unionfs-fuse's program is called unionfs too.
    packages="$packages fuse-overlayfs unionfs-fuse mmdebstrap git podman umoci"
fi

fail() {
    echo "setup: $1" >&2
    exit 1
}

install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "setup: this isn't Debian, so what corresponds to these packages must be there:" $packages >&2
        return 0
    fi
    missing=''
    for package in $packages; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
            || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || fail "missing Debian packages:$missing (root can install them: apt-get install$missing)"
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq --yes --no-install-recommends $missing >/dev/null
}

load_fuse() {
    [ -e /dev/fuse ] || modprobe fuse 2>/dev/null || true
    [ -e /dev/fuse ] || fail '/dev/fuse is missing: the kernel has no FUSE, or this container was started without it'
    # fusermount3 unmounts for a user only where it can read the mount table here; a root made by debootstrap lacks it.
    [ -e /etc/mtab ] || ln -s ../proc/self/mounts /etc/mtab 2>/dev/null \
        || fail '/etc/mtab is missing (root can make it: ln -s ../proc/self/mounts /etc/mtab)'
}

install_project() {
    wanted="$("$python" --version) $(sha256sum <pyproject.toml)"
    stamp=".venv/installed-for-$purpose"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || fail "$python is older than Python 3.11 (PYTHON=/path/to/python3 chooses another)"
    echo "setup: installing the project into .venv"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$extra"
    # Compiled once, also where Python is told to keep nothing (PYTHONDONTWRITEBYTECODE): every mount starts the package.
    .venv/bin/python -m compileall -q unionfs
    echo "$wanted" >"$stamp"
}

install_packages
load_fuse
install_project
