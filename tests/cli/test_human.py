"""Sizes and ages as docker shows them."""

from datetime import UTC, datetime, timedelta

import pytest

from unionfs.cli import human

NOW = datetime(2024, 5, 6, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1.02kB"),
        (4_261_550, "4.26MB"),
        (77_900_000, "77.9MB"),
        (123_456, "123kB"),
        (999_499, "999kB"),
        (999_500, "1MB"),
        (1_100_000_000, "1.1GB"),
        (2 * 10**21, "2000EB"),
    ],
)
def test_a_size_has_three_digits_in_decimal_units(count: int, text: str) -> None:
    assert human.size(count) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(0), "Less than a second ago"),
        (timedelta(seconds=-5), "Less than a second ago"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=60), "About a minute ago"),
        (timedelta(seconds=119), "About a minute ago"),
        (timedelta(minutes=2), "2 minutes ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(minutes=60), "About an hour ago"),
        (timedelta(minutes=89), "About an hour ago"),
        (timedelta(minutes=90), "2 hours ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=13), "13 days ago"),
        (timedelta(days=14), "2 weeks ago"),
        (timedelta(days=59), "8 weeks ago"),
        (timedelta(days=60), "2 months ago"),
        (timedelta(days=729), "24 months ago"),
        (timedelta(days=730), "2 years ago"),
    ],
)
def test_an_age_is_told_in_one_unit(ago: timedelta, text: str) -> None:
    assert human.age((NOW - ago).isoformat(), NOW) == text


@pytest.mark.parametrize("created", ["2024-05-06T11:00:00.123456789Z", "2024-05-06T13:00:00+02:00"])
def test_times_may_have_nanoseconds_and_zones(created: str) -> None:
    assert human.instant(created) == "2024-05-06 11:00:00 +0000 UTC"


@pytest.mark.parametrize("created", ["", "yesterday", "2024-13-01T00:00:00Z"])
def test_what_is_no_time_is_not_available(created: str) -> None:
    assert (human.age(created, NOW), human.instant(created)) == ("N/A", "N/A")
