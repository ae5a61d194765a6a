"""What is fuzzed: each target takes bytes and raises `Finding` when a property does not hold.

A target tells whether the bytes were accepted, so that a test can see that some are.
Anything else that escapes a target is a finding too: a reader may refuse, it may not break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

import orjson

from proxy.core import strict_yaml
from proxy.core.dialects import routing
from proxy.core.errors import Mistakes, Unreadable
from proxy.core.member_rows import compile_members
from proxy.core.members import MemberTables
from proxy.core.strict_json import parse, parse_object
from proxy.core.values import RawRequest, UpstreamRequest
from tests.bypass.cases import load
from tests.bypass.fixture import with_pins
from tests.bypass.http1 import Message
from tests.bypass.oracle import MODEL_NAMES, models
from tests.bypass.readers import SIX, Unread, folded
from tests.fuzz import forwarding, messages
from tests.fuzz.agreement import disagreements, flat
from tests.fuzz.seeds import SEEDS

_PLAIN_MODEL = re.compile(r"[A-Za-z0-9._:@+~,=!*()$&'-]+(?:/[A-Za-z0-9._:@+~,=!*()$&'-]+)*")
_QUERY = re.compile(r"[\x21-\x7e]*")


class Finding(AssertionError):
    """A property that does not hold for some bytes."""


@cache
def member_tables() -> MemberTables:
    """The member tables that ship with the product."""
    folder = resources.files("proxy.tables") / "members"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".yaml")), key=lambda e: e.name)
    return compile_members(*(strict_yaml.load(each.read_bytes(), each.name).data for each in files))


def body(data: bytes) -> bool:
    """A body that is read means the same to every reader, whatever it tolerates."""
    try:
        ours = parse(data)
    except Unreadable:
        return False
    try:
        theirs = [orjson.loads(data), *(reader(data) for reader in SIX if reader.__name__ != "ignoring_case")]
    except (ValueError, Unread) as error:
        raise Finding("another reader cannot read what we read") from error
    for value in theirs:
        if _text(value) != _text(ours):
            raise Finding("another reader sees something else")
    return True


def _text(value: Any) -> str:
    # Text tells 1 from 1.0 and true, which == does not.
    return json.dumps(_as_doubles(value), sort_keys=True)


def _as_doubles(value: Any) -> Any:
    """Integers beyond 64 bits as doubles, which is what most readers make of them."""
    if isinstance(value, dict):
        return {name: _as_doubles(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_as_doubles(below) for below in value]
    wide = isinstance(value, int) and not -(2**63) <= value < 2**64
    return float(value) if wide else value


def members(data: bytes) -> bool:
    """A body that its table lets pass shows every reader the judged members and no others."""
    tables = member_tables()
    names = sorted(tables.tables)
    name, text = names[data[0] % len(names)] if data else names[0], data[1:]
    try:
        ours = parse_object(text)
        if tables.read(name, ours).unknown:
            return False
    except Unreadable:
        return False
    if found := disagreements(tables, name, ours, text):
        raise Finding("; ".join(found))
    return True


def forward(data: bytes) -> bool:
    """What would leave shows every reader approved models, the judged members, and a known target."""
    seed, text = SEEDS[data[0] % len(SEEDS)] if data else SEEDS[0], data[1:]
    path_only, _, query = seed.target.partition("?")
    fields = [field.partition(b": ") for field in seed.fields]
    headers = ((b"content-type", b"application/json"), *((name, value) for name, _, value in fields))
    try:
        left = forwarding.forward(RawRequest("POST", path_only, query, headers, text))
    except Unreadable:
        return False
    if left is None:
        return False
    table, sent = left
    if strange := _named(table, sent) - {folded(name) for name in with_pins(load()[0]).allowed}:
        raise Finding(f"a reader would see the models {sorted(strange)}")
    ours = parse_object(sent.body)
    if member_tables().read(table, ours).unknown:
        raise Finding("an unknown member would leave")
    if found := disagreements(member_tables(), table, ours, sent.body):
        raise Finding("; ".join(found))
    if ours.get("store") not in (None, False):
        raise Finding("what would leave asks to be stored")
    return True


def _named(table: str, sent: UpstreamRequest) -> set[str]:
    """Every model at a judged place of the body, by every reader, and in the target."""
    first = f"{sent.method} {sent.target} HTTP/1.1".encode("ascii")
    named = models(Message(first, (), b"", whole=True, size=0))
    for reader in SIX:
        for at, value in flat(member_tables().table(table), reader(sent.body)).items():
            if at.rpartition(".")[2].partition("[")[0] in MODEL_NAMES and isinstance(value, tuple):
                named.add(folded(str(value[1])))
    return named or {"<none>"}


def path(data: bytes) -> bool:
    """A target that matches is written plainly, and every decoding of it is the same target."""
    method, _, target = data.decode("latin-1").partition(" ")
    raw_path, _, query = target.partition("?")
    headers = ((b"content-type", b"application/json"),)
    try:
        match = routing.match(RawRequest(method, raw_path, query, headers, b""))
    except Unreadable:
        return False
    if match is None:
        return False
    # What is answered here goes nowhere, so an encoded slash in it is read by nobody else.
    plain = raw_path if match.endpoint.upstream else raw_path.replace("%2F", "/").replace("%3A", ":")
    if unquote(plain) != plain or "//" in plain or {".", ".."} & set(plain.split("/")):
        raise Finding(f"a path with two readings matches {match.endpoint.template}")
    head, found, tail = match.endpoint.template.partition("{model}")
    if match.session:
        head = head.removeprefix("/v1").removeprefix("/v3/compat")
    if found and not (head in plain and plain.endswith(tail) and _PLAIN_MODEL.fullmatch(match.model)):
        raise Finding(f"a strange model matches {match.endpoint.template}")
    if method != match.endpoint.method or not _QUERY.fullmatch(query):
        raise Finding("a strange method or query matches")
    return True


def yaml(data: bytes) -> bool:
    """A file that is read is plain data, bounded, and reads the same when written out as JSON."""
    try:
        document = strict_yaml.load(data, "fuzz.yaml")
    except Mistakes:
        return False
    text = orjson.dumps(document.data)
    if len(text) > 40 * len(data) + 64:
        raise Finding("the data are much larger than the file")
    if document.data is not None and strict_yaml.load(text, "again.yaml").data != document.data:
        raise Finding("written out as JSON, which is YAML, the file reads differently")
    return True


def request(data: bytes) -> bool:
    """A request that takes the short way is that one request to every reader."""
    return _agreed(messages.request, data)


def answer(data: bytes) -> bool:
    """An answer reads the same however it is cut, and where another may follow every reader sees its end."""
    return _agreed(messages.answer, data)


def _agreed(target: Callable[[bytes], bool], data: bytes) -> bool:
    try:
        return target(data)
    except messages.Differs as error:
        raise Finding(str(error)) from error


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "answer": answer,
    "body": body,
    "forward": forward,
    "members": members,
    "path": path,
    "request": request,
    "yaml": yaml,
}
