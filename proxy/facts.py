"""the packaged tables, read and compiled once: members, effects, headers, countries, the gateway itself"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import yaml

from proxy.core.dialects import Tables
from proxy.core.effects import compile_effects
from proxy.core.headers import compile_headers
from proxy.core.member_rows import compile_members
from proxy.core.places import Countries, read_countries
from proxy.core.values import Digest, Json

# The tables are ours and tested; libyaml reads them ten times faster than the strict reader.
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the product knows of the world. `digest` is over the files as shipped."""

    tables: Tables
    countries: Countries
    gateway: Mapping[str, Json]
    digest: Digest


@cache
def read_facts() -> Facts:
    """Read every table of the package."""
    root = resources.files("proxy.tables")
    hashed = hashlib.sha256()

    def read(file: Traversable) -> Json:
        content = file.read_bytes()
        hashed.update(file.name.encode() + b"\0" + hashlib.sha256(content).digest())
        data: Json = yaml.load(content, Loader=_LOADER)  # noqa: S506, TID251 -- ours, and a safe loader
        return data

    def folder(name: str) -> list[Json]:
        files = [file for file in (root / name).iterdir() if file.name.endswith(".yaml")]
        return [read(file) for file in sorted(files, key=lambda file: file.name)]

    members = compile_members(*folder("members"))
    tables = Tables(
        members=members,
        effects=compile_effects(*folder("effects"), names=members.names()),
        headers=compile_headers(read(root / "headers.yaml")),
    )
    countries = read_countries(read(root / "countries.yaml"))
    gateway = read(root / "gateway.yaml")
    assert isinstance(gateway, dict)
    return Facts(tables, countries, gateway, Digest("sha256:" + hashed.hexdigest()))
