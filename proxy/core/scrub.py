"""a secret of ours, taken out of what an upstream sends back

A gateway that quotes the credential it was sent (in an error, for example) would hand it to the
caller. Masked in place, so that lengths stay true.
"""

from __future__ import annotations


class Scrubber:
    """Masks one secret in a body that comes in chunks, also where a chunk ends inside the secret.

    Only a tail that could be the beginning of the secret is held back, and only until the next
    chunk shows whether it is.
    """

    __slots__ = ("_first", "_mask", "_secret", "_tail")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._first = secret[:1]
        self._mask = b"*" * len(secret)
        self._tail = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may go on now."""
        data = self._tail + chunk if self._tail else chunk
        if self._first and self._first in data:
            return self._masked(data)
        self._tail = b""
        return data

    def finish(self) -> bytes:
        """What was held back and turned out to be harmless."""
        tail, self._tail = self._tail, b""
        return tail

    def _masked(self, data: bytes) -> bytes:
        if self._secret in data:
            data = data.replace(self._secret, self._mask)
        keep = self._prefix_at_end(data)
        self._tail = data[len(data) - keep :] if keep else b""
        return data[: len(data) - keep] if keep else data

    def _prefix_at_end(self, data: bytes) -> int:
        """Length of the longest end of `data` that begins the secret."""
        start = max(0, len(data) - len(self._secret) + 1)
        at = data.find(self._first, start)
        while at >= 0:
            if self._secret.startswith(data[at:]):
                return len(data) - at
            at = data.find(self._first, at + 1)
        return 0
