import base64
import struct
import zlib
from typing import Any

import pytest

from proxy.simulator.images import png

URL = "/v3/images"


async def images(simulator: Any, client: Any, **body: Any) -> Any:
    async with client.post(
        simulator.base_url + URL, json={"model": "example-us/easel-1", "prompt": "x", **body}
    ) as reply:
        return reply.status, await reply.json()


async def test_pictures_are_stored_unless_told_otherwise(simulator, client):
    _, stored = await images(simulator, client)
    _, kept_nowhere = await images(simulator, client, store=False)
    assert {"file_id", "url", "b64_json", "mime_type"} == set(stored["data"][0])
    assert {"b64_json", "mime_type"} == set(kept_nowhere["data"][0])


async def test_as_many_as_asked_for_at_their_price(simulator, client):
    _, body = await images(simulator, client, n=3)
    assert (len(body["data"]), body["usage"]) == (3, {"cost": 0.03, "images": 3})


async def test_a_url_instead_of_bytes(simulator, client):
    _, body = await images(simulator, client, response_format="url", store=False)
    assert {"url", "mime_type"} == set(body["data"][0])


@pytest.mark.parametrize("body", [{"n": 5}, {"n": 0}, {"n": True}, {"n": "1"}, {"prompt": ""}, {"prompt": 7}])
async def test_what_is_not_possible_is_400(simulator, client, body):
    status, answer = await images(simulator, client, **body)
    assert (status, set(answer["error"])) == (400, {"code", "message"})


async def test_the_picture_is_a_real_one(simulator, client):
    _, body = await images(simulator, client)
    data = base64.b64decode(body["data"][0]["b64_json"])
    assert data == png("x")
    assert data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    pixels = zlib.decompress(data[start + 4 : start + 4 + length])
    assert len(pixels) == height * (1 + 3 * width)
    assert struct.unpack(">I", data[start + 4 + length : start + 8 + length])[0] == zlib.crc32(
        data[start : start + 4 + length]
    )


def test_different_prompts_have_different_colours():
    assert png("a") != png("b")
