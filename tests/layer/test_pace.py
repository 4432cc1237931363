"""Whether a layer's directories are read at once, by what was seen of it: nothing here waits."""

from unionfs.layer.pace import Pace

QUICK, SLOW = 0.0005, 0.005


def after(*seconds: float, names: int = 1) -> Pace:
    pace = Pace()
    for each in seconds:
        pace.note(each, names)
    return pace


def test_a_layer_is_slow_until_it_was_quick_several_times() -> None:
    assert after().is_slow
    assert after(*[QUICK] * 7).is_slow
    assert not after(*[QUICK] * 8).is_slow


def test_one_slow_reading_is_enough() -> None:
    assert after(*[QUICK] * 1000, SLOW).is_slow
    assert after(*[QUICK] * 7, SLOW, QUICK).is_slow


def test_a_layer_becomes_quick_again() -> None:
    assert not after(*[SLOW] * 1000, *[QUICK] * 8).is_slow


def test_a_layer_that_was_trusted_by_mistake_has_to_be_quick_more_often() -> None:
    mistaken = [*[QUICK] * 8, SLOW]
    assert after(*mistaken, *[QUICK] * 31).is_slow
    assert not after(*mistaken, *[QUICK] * 32).is_slow
    assert not after(*([QUICK] * 1000 + [SLOW]) * 100, *[QUICK] * 512).is_slow


def test_many_names_may_take_longer() -> None:
    assert not after(*[SLOW] * 8, names=1000).is_slow
