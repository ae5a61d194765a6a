"""Opper's native images: a small PNG that is real, and the storing that is on by default"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib

from proxy.simulator.answers import Answer, Refused, plain
from proxy.simulator.rows import Served
from proxy.simulator.turns import Body

_SIDE = 16
_MOST = 4


def count(body: Body) -> int:
    """How many pictures are asked for; at most four."""
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise Refused(400, "prompt is required")
    wanted = body.get("n", 1)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= _MOST:
        raise Refused(400, f"n must be between 1 and {_MOST}")
    return wanted


def answer(body: Body, served: Served, identity: str, created: int) -> Answer:
    """The pictures, in the shape of OpenAI's images; with a stored file unless `store` is false."""
    data = [_picture(body, f"{identity}_{place}") for place in range(served.images)]
    usage = {"cost": served.cost, "images": served.images}
    whole = {"id": f"img_{identity}", "model": body.get("model"), "created": created, "data": data,
             "usage": usage}  # fmt: skip
    return plain(whole, headers=(*served.headers, ("x-opper-cost", f"{served.cost:.9f}")))


def _picture(body: Body, identity: str) -> Body:
    url = f"https://files.example.invalid/{identity}.png"
    picture: Body = {"mime_type": "image/png"}
    if body.get("response_format") == "url":
        picture["url"] = url
    else:
        picture["b64_json"] = base64.b64encode(png(str(body.get("prompt")))).decode()
    if body.get("store") is not False:
        picture |= {"file_id": f"file_{identity}", "url": url}
    return picture


def png(text: str) -> bytes:
    """A square PNG of one colour, the colour made of the text."""
    colour = hashlib.sha256(text.encode()).digest()[:3]
    rows = (b"\0" + colour * _SIDE) * _SIDE
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
