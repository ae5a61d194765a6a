"""how settings are spelled: durations `30s`, sizes `10MB`, networks, names of variables and hosts

Each spelling has one reading. A bare number is refused where a unit is due: nobody can tell later whether
30 meant seconds or minutes.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo

_NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([A-Za-z]{1,3})")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_HOST = re.compile(r"(?!-)[a-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?")


def read_duration(value: object) -> float:
    """Seconds of a duration such as `500ms`, `30s`, `5m`, `24h` or `90d`. Raises `ValueError`."""
    number, unit = _parted(value, _SECONDS, "a duration such as 500ms, 30s, 5m, 24h or 90d")
    return number * _SECONDS[unit]


def write_duration(seconds: float) -> str:
    """The shortest spelling of a duration that reads back as the same number of seconds."""
    for unit in ("d", "h", "m", "s"):
        whole, rest = divmod(seconds, _SECONDS[unit])
        if rest == 0 and (whole >= 1 or unit == "s") and (unit != "d" or whole > 1):
            return f"{int(whole)}{unit}"
    return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"


def read_size(value: object) -> int:
    """Bytes of a size such as `512B`, `64KB`, `10MB` (powers of 1000) or `1GiB` (powers of 1024)."""
    number, unit = _parted(value, _BYTES, "a size such as 64KB, 10MB or 1GiB")
    return int(number * _BYTES[unit])


def write_size(size: int) -> str:
    """The shortest spelling of a size that reads back as the same number of bytes."""
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "KB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def _parted(value: object, units: dict[str, float] | dict[str, int], wanted: str) -> tuple[float, str]:
    found = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in units:
        raise ValueError(f"must be {wanted}, with its unit")
    return float(found[1]), found[2]


def is_local_name(host: str) -> bool:
    """Whether a host is `localhost` or an address: an operator who writes that has chosen it."""
    try:
        return host == "localhost" or bool(ip_address(host))
    except ValueError:
        return False


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


def _variable(name: str) -> str:
    # Never quoted: what stands here by mistake is often the secret itself.
    if not _VARIABLE.fullmatch(name):
        raise ValueError("must be the name of an environment variable (A-Z, 0-9, _), not the secret itself")
    return name


def _host(name: str) -> str:
    if not _HOST.fullmatch(name.lower()):
        raise ValueError(
            "must be a host name as clients send it, such as proxy.example.com or localhost:8080"
        )
    return name.lower()


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8 or an address such as 10.1.2.3") from None


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://api.opper.ai")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment; name the key in api_key_env")
    return url.rstrip("/")


def _path(value: object, about: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("must be a path")
    base = (about.context or {}).get("base", Path())
    return Path(base, Path(value).expanduser())


T = TypeVar("T")
Several: TypeAlias = Annotated[
    tuple[T, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]
"""A list in the file, immutable here."""
Duration: TypeAlias = Annotated[
    float, BeforeValidator(read_duration), AfterValidator(_positive), PlainSerializer(write_duration)
]
"""Seconds; spelled with a unit."""
Size: TypeAlias = Annotated[
    int, BeforeValidator(read_size), AfterValidator(_positive), PlainSerializer(write_size)
]
"""Bytes; spelled with a unit."""
Variable: TypeAlias = Annotated[str, AfterValidator(_variable)]
Host: TypeAlias = Annotated[str, AfterValidator(_host)]
Network: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), PlainSerializer(str)]
BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
FilePath: TypeAlias = Annotated[Path, BeforeValidator(_path), PlainSerializer(str)]
"""Relative paths start at `base` of the validation context: the folder of the configuration file."""
FileName: TypeAlias = Annotated[str, BeforeValidator(lambda value, about: str(_path(value, about)))]
"""The same as text, for libraries that want it so."""
