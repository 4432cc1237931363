"""When staying awake for the next request is worth it, decided by values: nothing here waits."""

from unionfs.fuse.wakefulness import AWAKE, Wakefulness

SOON, LATE = AWAKE / 3, 1.0


def after(*waits: float) -> Wakefulness:
    """Live through *waits*, awake for as long as was decided each time."""
    wakefulness = Wakefulness()
    for wait in waits:
        slept = wait > wakefulness.seconds
        wakefulness.note(wait, slept=slept)
    return wakefulness


def test_a_new_connection_is_awake() -> None:
    assert after().seconds == AWAKE


def test_who_is_asked_at_once_again_stays_awake() -> None:
    assert after(*[SOON] * 1000).seconds == AWAKE


def test_a_pause_now_and_then_changes_nothing() -> None:
    assert after(*([SOON] * 10 + [LATE]) * 100).seconds == AWAKE


def test_who_stays_awake_for_nothing_goes_to_sleep_at_once() -> None:
    assert after(*[LATE] * 20).seconds == 0
    assert after(*[LATE] * 1000).seconds == 0


def test_whether_it_pays_is_seen_asleep_too_although_waking_takes_its_time() -> None:
    asleep = after(*[LATE] * 1000)
    for _ in range(4):
        assert asleep.seconds == 0
        asleep.note(AWAKE * 1.5, slept=True)
    assert asleep.seconds == AWAKE


def test_a_request_that_comes_just_after_going_to_sleep_is_seldom_waited_for() -> None:
    wakefulness, awake = after(), 0
    for _ in range(1000):
        awake += wakefulness.seconds > 0
        wakefulness.note(AWAKE * 1.5, slept=True)
    assert awake < 300


def test_rare_luck_wakes_nobody() -> None:
    assert after(*[LATE] * 20, *([LATE] * 3 + [SOON]) * 100).seconds == 0
