"""Which transport serves, by what is wanted and on which kernel."""

import errno
import logging

import pytest

from unionfs.fuse import Transport

AUTO, KERNEL, PYFUSE3 = Transport.AUTO, Transport.KERNEL, Transport.PYFUSE3


@pytest.mark.parametrize("release", ["5.4.0-150-generic", "5.10.0", "6.18.44-cloud", "7.0", "10.2.1"])
def test_a_kernel_that_is_new_enough_is_spoken_to_in_its_own_protocol(
    release: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert AUTO.settled(release) is KERNEL.settled(release) is KERNEL
    assert caplog.text == ""


@pytest.mark.parametrize("release", ["5.3.18", "4.18.0-553.el8", "2.6.78", "strange", ""])
def test_an_older_one_is_served_through_pyfuse3_which_one_line_says(
    release: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert AUTO.settled(release) is PYFUSE3
    assert [record.getMessage() for record in caplog.records] == [
        f"the kernel transport needs Linux 5.4, and this is {release}: serving through pyfuse3"
    ]


def test_what_is_asked_for_by_name_is_taken_or_refused() -> None:
    with pytest.raises(OSError, match=r"needs Linux 5\.4, and this is 5\.3") as raised:
        KERNEL.settled("5.3.0")
    assert raised.value.errno == errno.EPROTO
    assert PYFUSE3.settled("6.18.0") is PYFUSE3.settled("4.4.0") is PYFUSE3
