"""Further cases, of the project's own: `ours.yaml` put together into the bytes to send."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.bypass.cases import Case, Expected, Step, load

FILE = Path(__file__).with_name("ours.yaml")
_BOUNDARY = "----ours"


@cache
def ours() -> tuple[Case, ...]:
    """Every case of the file, in its order."""
    rows = yaml.safe_load(FILE.read_text("utf-8"))
    return tuple(_case(row) for row in rows)


@cache
def everything() -> tuple[Case, ...]:
    """All cases. A misbehaving upstream comes last: a route that was served by another is set aside."""
    given = load()[1]
    tame = (case for case in given if not case.answer)
    return (*tame, *ours(), *(case for case in given if case.answer))


def _case(row: dict[str, Any]) -> Case:
    expected = Expected(
        row["verdict"], tuple(row["status"]), row["audit"], tuple(row.get("forbidden", ())), 1, ""
    )
    data = _request(row)
    return Case(row["id"], "OWN", row["title"], "", "", (Step(data=data),), expected, "")


def _request(row: dict[str, Any]) -> bytes:
    media, body = _body(row)
    key = load()[0].client_key
    fields = [
        f"{row.get('method', 'POST')} {row['target']} HTTP/1.1",
        "Host: proxy.test",
        *([] if "key=" in row["target"] else [f"Authorization: Bearer {key}"]),
        *([f"Content-Type: {media}"] if media else []),
        *row.get("fields", ()),
        *([f"Content-Length: {len(body)}"] if media else []),
        "Connection: close",
    ]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def _body(row: dict[str, Any]) -> tuple[str, bytes]:
    if "json" in row:
        return "application/json", str(row["json"]).encode()
    if "form" not in row:
        return "", b""
    parts = [
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n"
        for name, value in row["form"]
    ]
    return f"multipart/form-data; boundary={_BOUNDARY}", ("".join(parts) + f"--{_BOUNDARY}--\r\n").encode()
