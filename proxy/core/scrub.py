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

    __slots__ = ("_secret", "_tail")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._tail = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may go on now."""
        secret, data = self._secret, chunk
        if self._tail:
            data, self._tail = self._tail + chunk, b""
        if not secret:
            return data
        if secret in data:
            data = data.replace(secret, b"*" * len(secret))
        # Most chunks end in a brace or a line's end, which no key holds: nothing there can begin one.
        return self._without_beginning(data) if data[-1:] in secret else data

    def finish(self) -> bytes:
        """What was held back and turned out to be harmless."""
        tail, self._tail = self._tail, b""
        return tail

    def _without_beginning(self, data: bytes) -> bytes:
        """The data up to the longest end of it that begins the secret, which is held back."""
        first = self._secret[:1]
        at = data.find(first, max(0, len(data) - len(self._secret) + 1))
        while at >= 0:
            if self._secret.startswith(data[at:]):
                self._tail = data[at:]
                return data[:at]
            at = data.find(first, at + 1)
        return data
