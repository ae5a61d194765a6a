"""a circuit breaker: after repeated failures the gateway is left alone for a while"""

from __future__ import annotations


class Breaker:
    """Closed; open for `pause` seconds after `threshold` failures in a row; then one probe per `pause`.

    The row has to last for `span` seconds: a few slow requests among many often reach their deadline in
    one turn of the loop, and that says nothing of the gateway that answers all the others meanwhile.
    Times are monotonic seconds, passed in. A probe may take as long as a model does, so others do not
    wait for its end.
    """

    def __init__(self, *, threshold: int, span: float, pause: float) -> None:
        self._threshold = threshold
        self._span = span
        self._pause = pause
        self._failures = 0
        self._first_failure = 0.0
        self._open = False
        self._open_until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a request may be sent now."""
        if not self.is_open:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    def succeeded(self) -> None:
        """The gateway answered: close."""
        self._failures = 0
        self._open = False

    def failed(self, now: float) -> None:
        """The gateway did not answer: count, and open when it has gone on for long enough.

        What fails later was under way already, or is a probe; neither puts the next probe off.
        """
        if not self._failures:
            self._first_failure = now
        self._failures += 1
        lasting = now - self._first_failure >= self._span
        if lasting and self._failures >= self._threshold and not self._open:
            self._open = True
            self._open_until = now + self._pause

    def withdrawn(self) -> None:
        """The probe was never sent, so another may take its place.

        Not for a probe that its sender gave up: those come as fast as senders lose patience.
        """
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are being held back."""
        return self._open
