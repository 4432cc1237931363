"""What is done in a mounted Debian root: shell scripts that fail where a program doesn't work as it should."""

from collections.abc import Mapping

APT = r"""
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq --yes install larder=1.0
test "$(larder)" = 'larder 1.0 has three shelves'
test "$(pantry)" = 'larder 1.0 has three shelves'
test "$(getcap /usr/bin/larder)" = '/usr/bin/larder cap_net_bind_service=ep'
test "$(stat -c %a:%U:%G /var/lib/larder)" = 2770:larder:larder
test "$(who)" = 'the cook'
apt-get -qq --yes install larder
test "$(larder)" = 'larder 2.0 has three shelves'
test ! -e /usr/share/larder/1.0
dpkg --verify larder liblarder | grep -v ' /var/lib/larder' && exit 1
apt-get -qq --yes purge larder
test ! -e /usr/bin/pantry
test ! -e /var/lib/larder
who >/dev/null
test ! -e /usr/bin/who.diverted
apt-get -qq --yes install larder=1.0
dpkg --audit
"""
GIT = r"""
export HOME=/root
git config --global user.name Tester
git config --global user.email tester@localhost
cd /root
git clone --quiet file:///srv/project.git fetched
git clone --quiet /srv/project.git linked
cd linked
test -z "$(git status --porcelain)"
git checkout --quiet side
git checkout --quiet main
echo more >>part1/file1
rm part2/file2
mv part4 part40
test "$(git status --porcelain --no-renames | wc -l)" = 13
git add --all
git commit --quiet --message=changed
test -z "$(git status --porcelain)"
git merge --quiet --no-edit side
git gc --quiet
git fsck --strict
git push --quiet origin main
git -C /srv/project.git fsck --strict
"""
COMPILE = r"""
cp -r /srv/program /root/program
cd /root/program
test "$(./build | sort -u)" = 66
cd /srv/program
test "$(./build | sort -u)" = 66
"""
SQLITE = r"""
cat >/root/transactions.py <<'PROGRAM'
import sqlite3, sys
name, mode, synchronous, transactions = sys.argv[1:]
base = sqlite3.connect(name, isolation_level=None, timeout=60)
assert base.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode
base.execute(f"pragma synchronous={synchronous}")
base.execute("create table if not exists t (k integer primary key, v blob)")
for number in range(int(transactions)):
    base.execute("begin immediate")
    base.execute("insert into t (v) values (randomblob(?))", (number % 3000,))
    base.execute("update t set v = randomblob(length(v) / 2) where k = ?", (number // 2,))
    base.execute("rollback" if number % 10 == 9 else "commit")
base.close()
PROGRAM
check() {
    test "$(sqlite3 "$1" 'pragma integrity_check')" = ok
    test "$(sqlite3 "$1" 'select count(*) from t')" = "$2"
}
cd /root
python3 transactions.py wal.db wal normal 3000
check wal.db 2700
python3 transactions.py rollback.db delete full 150
python3 transactions.py rollback.db truncate off 1000
python3 transactions.py rollback.db persist off 1000
check rollback.db 1935
for mode in wal delete; do
    python3 transactions.py shared-$mode.db $mode off 1
    python3 transactions.py shared-$mode.db $mode off 400 & first=$!
    python3 transactions.py shared-$mode.db $mode off 400 & second=$!
    wait $first
    wait $second
    check shared-$mode.db 721
done
check /srv/stock.db 4000
python3 transactions.py /srv/stock.db wal off 500
check /srv/stock.db 4450
sqlite3 /srv/stock.db vacuum
check /srv/stock.db 4450
"""
PIP = r"""
python3 -m venv /opt/venv
/opt/venv/bin/pip install --quiet --no-index --find-links /srv/wheels larder
test "$(/opt/venv/bin/larder)" = 'wheel has jar 0'
/opt/venv/bin/pip check
/opt/venv/bin/pip uninstall --quiet --yes larder
/opt/venv/bin/pip install --quiet --no-index --find-links /srv/wheels larder
"""
RESHAPE = r"""
mv /usr/include/linux /usr/include/linux-moved
mv /usr/include/linux-moved/netfilter /srv/netfilter
mkdir /usr/include/linux
touch /usr/include/linux/new.h
rm -r /usr/lib/python3.11/json
mkdir /usr/lib/python3.11/json
rm -r /usr/share/zoneinfo/America
touch /usr/share/zoneinfo/America
chown -R 1234:4321 /usr/share/zoneinfo/Europe
find /usr/share/perl -name '*.pm' -exec chmod a-w,u+s {} +
mv /usr/share/perl/5.36.0/Test /usr/share/perl/Test
ln /usr/bin/env /usr/bin/env-too
chmod 711 /usr/bin/env-too
mv /usr/bin/env-too /srv
ln /usr/lib/locale/C.utf8/LC_CTYPE /usr/lib/locale/LC_CTYPE
rm /usr/lib/locale/C.utf8/LC_CTYPE
setfattr_() { python3 -c 'import os, sys; os.setxattr(*sys.argv[1:3], os.fsencode(sys.argv[3]))' "$@"; }
setfattr_ /usr/share/zoneinfo/Europe user.colour blue
setfattr_ /usr/share/zoneinfo/Europe/Paris trusted.colour white
chmod 700 /usr/bin/perlbug
mkfifo /srv/fifo
mknod /srv/null c 1 3
truncate -s 64M /srv/sparse
ln -s nowhere "$(printf '/srv/odd \377 name')"
touch -d '1969-12-31 23:59:58.25 UTC' /srv/old
"""
"""What an overlay keeps in ways of its own: redirects, files without content, opaque directories, whiteouts."""

CHORES: Mapping[str, str] = {
    "apt": APT, "git": GIT, "compile": COMPILE, "sqlite": SQLITE, "pip": PIP, "reshape": RESHAPE,
}  # fmt: skip

LAY_IN = r"""
python3 - <<'PROGRAM'
import sqlite3
base = sqlite3.connect("/srv/stock.db")
base.execute("create table t (k integer primary key, v blob)")
base.executemany("insert into t (v) values (randomblob(4000))", [()] * 4000)
base.commit()
PROGRAM
mv /usr/include/rdma /usr/include/rdma-moved
mv /usr/lib/python3.11/unittest /usr/lib/python3.11/unittest2
rm -r /usr/include/sound
mkdir /usr/include/sound
touch /usr/include/sound/quiet.h
rm -r /usr/include/mtd
chmod 600 /usr/share/zoneinfo/Asia/*
mv /usr/share/zoneinfo/Asia/Tokyo /usr/share/zoneinfo/Asia/Edo
chown 7:8 /usr/include/stdio.h
mv /usr/include/stdio.h /usr/include/moved.h
echo '#include "moved.h"' >/usr/include/stdio.h
"""
"""What was done in the middle layer, by overlayfs, before any test."""
