"""How long to stay awake for the next request: as long as that pays.

Waking a sleeping process costs more than everything that answering a request does (measured: 67 against 20
microseconds for a stat), and one request is often followed by the next at once. Where it isn't, staying awake takes
the processor from others. Owns that decision, made of what happened before; measures and waits for nothing itself.
"""

# How long to stay awake after a request where that pays, in seconds.
AWAKE = 60e-6
# What waking up adds at most to the time after which a request is seen by who slept, in seconds.
_WAKING = 60e-6
# Waits that were worth being awake are weighed against those that weren't: how far the balance goes, what one spent
# awake for nothing takes from it, and from where on being awake is worth it.
_MOST = 16
_FOR_NOTHING = 3
_WORTH = 4


class Wakefulness:
    """The experience of one connection: awake as long as ``seconds`` says, then asleep, then ``note``."""

    def __init__(self) -> None:
        self._balance = _MOST

    @property
    def seconds(self) -> float:
        """How long to stay awake now; 0: sleep at once."""
        return AWAKE if self._balance >= _WORTH else 0.0

    def note(self, waited: float, *, slept: bool) -> None:
        """Learn that the next request came after *waited* seconds, seen awake or after having *slept*."""
        if not slept:
            self._balance = min(_MOST, self._balance + 1)
        elif self._balance >= _WORTH:
            self._balance -= _FOR_NOTHING
        elif waited <= AWAKE + _WAKING:
            self._balance += 1
        elif self._balance > 0:
            self._balance -= 1
