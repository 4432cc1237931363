"""What is told of the file system that a descriptor lies on."""

import os

from unionfs.linux.mounts import file_system_type

PROC_SUPER_MAGIC = 0x9FA0


def test_the_type_of_a_file_system_is_told_also_where_nothing_may_be_read() -> None:
    for flags in (os.O_RDONLY, os.O_PATH):
        directory = os.open("/proc/self", flags | os.O_DIRECTORY)
        try:
            assert file_system_type(directory) == PROC_SUPER_MAGIC
        finally:
            os.close(directory)
