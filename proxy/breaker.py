"""a circuit breaker: after repeated failures the gateway is left alone for a while"""

from __future__ import annotations


class Breaker:
    """Closed, open for `pause` seconds after `threshold` failures in a row, then one probe.

    Times are monotonic seconds, passed in.
    """

    def __init__(self, *, threshold: int, pause: float) -> None:
        self._threshold = threshold
        self._pause = pause
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    def admits(self, now: float) -> bool:
        """Whether a request may be sent now; while half open, only one at a time may."""
        if self._failures < self._threshold:
            return True
        if now < self._open_until or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The gateway answered: close."""
        self._failures = 0
        self._probing = False

    def failed(self, now: float) -> None:
        """The gateway did not answer: count, and open at the threshold."""
        self._failures += 1
        self._probing = False
        if self._failures >= self._threshold:
            self._open_until = now + self._pause

    def withdrawn(self) -> None:
        """The request that was admitted was never sent."""
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are being held back."""
        return self._failures >= self._threshold
