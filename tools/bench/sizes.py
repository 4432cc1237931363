"""How much each workload does, for figures that count and for a run that only shows that all works."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """Counts and bytes. ``debian`` says whether the layers are a Debian system, or a few files made here."""

    debian: bool
    archived_files: int
    repository_files: int
    created_files: int
    names: int
    written: int
    big_file: int
    random_file: int
    random_operations: int
    wal_transactions: int
    rollback_transactions: int


FULL = Sizes(
    debian=True,
    archived_files=8000,
    repository_files=1500,
    created_files=3000,
    names=100_000,
    written=256 * MIB,
    big_file=1024 * MIB,
    random_file=64 * MIB,
    random_operations=16_384,
    wal_transactions=5000,
    rollback_transactions=1000,
)
QUICK = Sizes(
    debian=False,
    archived_files=200,
    repository_files=30,
    created_files=50,
    names=1000,
    written=2 * MIB,
    big_file=4 * MIB,
    random_file=1 * MIB,
    random_operations=256,
    wal_transactions=50,
    rollback_transactions=10,
)
