"""whose address a request came from, when reverse proxies stand in front

What `X-Forwarded-For` says is believed only as far as trusted proxies wrote it: read from its right end,
the first address that is not one of theirs is the client's. It serves for nothing but a pseudonym.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from proxy.core.values import Headers

Network = IPv4Network | IPv6Network

_FIELD = b"x-forwarded-for"


class Peers:
    """Tells clients from the proxies in front, given the networks of those."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def of(self, remote: str, headers: Headers) -> str:
        """The client's address, given that of the connection; what is no address ends the trail."""
        if not self._trusted:
            return remote
        found = remote
        for said in self._trail(headers):
            if not self._is_trusted(found):
                break
            address = _address(said)
            if address is None:
                break
            found = str(address)
        return found

    def _trail(self, headers: Headers) -> list[str]:
        """Every address of the field, the last one first: each proxy adds at the right end."""
        fields = [value for name, value in headers if name.lower() == _FIELD]
        return b",".join(fields).decode("latin-1").split(",")[::-1] if fields else []

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it, be it with a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
