"""keyed commitments: content, addresses and chosen strings as a reviewer may see them

Short prompts can be guessed and hashed, so a plain hash would give them away. With HMAC-SHA-256 a holder of
the key can prove a match, and destroying the key makes every value meaningless while all proofs stay valid.
"""

from __future__ import annotations

import hmac

_MOST_PEOPLE = 4096


class Pseudonyms:
    """Commitments under one secret of at least 16 bytes; `epoch` names the secret in every value."""

    __slots__ = ("_body", "_name", "_peer", "_people", "_start")

    def __init__(self, secret: bytes, *, epoch: int = 1) -> None:
        if len(secret) < 16:
            raise ValueError("the pseudonym secret needs at least 16 bytes")
        self._start = f"h:{epoch}:"
        self._people: dict[str, str] = {}
        # One key per purpose, so that equal strings in different roles cannot be matched.
        self._body, self._peer, self._name = (
            hmac.new(hmac.digest(secret, purpose, "sha256"), digestmod="sha256")
            for purpose in (b"body", b"peer", b"name")
        )

    def body(self, content: bytes) -> str:
        """The commitment to a body; about a millisecond per megabyte."""
        return self._start + _commitment(self._body, content)

    def person(self, identity: str) -> str:
        """The pseudonym of a network address, a user or a service."""
        known = self._people.get(identity)
        if known is None:
            known = self._start + _commitment(self._peer, _utf8(identity))
            if len(self._people) >= _MOST_PEOPLE:
                self._people.clear()
            self._people[identity] = known
        return known

    def sealed(self, chosen: str) -> dict[str, object]:
        """A string of the other side's choosing: its length in bytes and its commitment."""
        raw = _utf8(chosen)
        return {"len": len(raw), "mac": self._start + _commitment(self._name, raw)}


def _commitment(keyed: hmac.HMAC, content: bytes) -> str:
    # A copy of a keyed state is cheaper than keying anew, and does not let go of the interpreter lock for
    # a few bytes, as hmac.digest does.
    own = keyed.copy()
    own.update(content)
    return own.hexdigest()[:32]


def _utf8(text: str) -> bytes:
    # Lone surrogates have no UTF-8 form; a commitment to them has to exist all the same.
    return text.encode("utf-8", "surrogatepass")
