"""An image request of OpenAI's becomes Opper's native one, whole, or is refused by the member's name."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import orjson
import pytest

from proxy.core.dialects import images, routing
from proxy.core.errors import Unreadable
from proxy.core.values import RawRequest

JSON = ((b"Content-Type", b"application/json"), (b"X-Stainless-Lang", b"python"))
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def translated(path: str, body: bytes, headers=JSON):
    raw = RawRequest("POST", path, "", headers, body)
    match = routing.match(raw)
    assert match is not None
    return images.translate(raw, match)


def native(path: str, body: bytes, headers: Any = JSON) -> Any:
    raw, match = translated(path, body, headers)
    assert match.translation == images.TRANSLATION
    assert not images.is_translated(match)
    return orjson.loads(raw.body)


def generate(**body: Any) -> Any:
    return native(
        "/v1/images/generations", orjson.dumps({"model": "openai/gpt-image-1", "prompt": "p", **body})
    )


def edit(files: Any, **data: Any) -> Any:
    request = httpx2.Request(
        "POST",
        "http://proxy.test/v1/images/edits",
        data={"model": "openai/gpt-image-1", "prompt": "p é", **data},
        files=files,
    )
    return native(
        "/v1/images/edits", request.read(), ((b"Content-Type", request.headers["content-type"].encode()),)
    )


def refused(code: str, param: str, call, *args, **kwargs) -> str:
    with pytest.raises(Unreadable) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.param) == (code, param)
    return caught.value.detail


def test_a_generation_keeps_its_members_and_nothing_is_stored():
    body = generate(n=2, size="1024x1024", quality="high", style="vivid", response_format="b64_json")
    assert body == {
        "model": "openai/gpt-image-1",
        "prompt": "p",
        "n": 2,
        "size": "1024x1024",
        "quality": "high",
        "style": "vivid",
        "response_format": "b64_json",
        "store": False,
    }


def test_null_means_left_out():
    assert generate(n=None, background=None, user=None, stream=None, size=None) == generate(stream=False)


def test_the_request_becomes_json_and_keeps_its_other_headers():
    raw, _ = translated("/v1/images/generations", b'{"prompt":"p"}')
    assert raw.headers == ((b"X-Stainless-Lang", b"python"), (b"content-type", b"application/json"))


@pytest.mark.parametrize("name", sorted(images._LEFT_BEHIND))
def test_a_member_without_counterpart_is_refused_by_name(name):
    assert "no counterpart" in refused("unknown_member", name, generate, **{name: "x"})


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"store": True}, "unknown_member", "store"),
        ({"parameters": {}}, "unknown_member", "parameters"),
        ({"image": PNG_URL}, "unknown_member", "image"),
        ({"fallback_models": ["x"]}, "unknown_member", "fallback_models"),
        ({"Model": "x"}, "ambiguous_member", "model"),
        ({"\uff4eodel": "x"}, "unknown_member", "\uff4eodel"),
        ({"\uff4d\uff4fdel": "x"}, "ambiguous_member", "model"),
        ({"n": 5}, "wrong_type", "n"),
        ({"n": 0}, "wrong_type", "n"),
        ({"n": True}, "wrong_type", "n"),
        ({"n": 1.5}, "wrong_type", "n"),
        ({"n": "2"}, "wrong_type", "n"),
        ({"response_format": "url"}, "unknown_value", "response_format"),
        ({"stream": True}, "unknown_value", "stream"),
        ({"stream": "false"}, "unknown_value", "stream"),
        ({"prompt": None}, "missing_member", "prompt"),
        ({"prompt": ""}, "missing_member", "prompt"),
    ],
)
def test_what_opper_would_take_otherwise_is_refused(body, code, param):
    refused(code, param, generate, **body)


def test_a_duplicate_key_is_refused_before_it_is_translated():
    with pytest.raises(Unreadable, match="duplicate_key"):
        native("/v1/images/generations", b'{"model":"a/b","prompt":"p","model":"c/d"}')


def test_one_file_becomes_the_image():
    body = edit({"image": ("a.png", PNG, "image/png")}, n="2")
    assert (body["image"], body["n"], body["prompt"], body["store"]) == (PNG_URL, 2, "p é", False)
    assert "reference_images" not in body


def test_more_files_become_reference_images_in_their_order():
    second = b"\xff\xd8\xff" + b"jpeg"
    body = edit(
        [
            ("image[]", ("a.png", PNG, "image/png")),
            ("image[]", ("b", second, "application/octet-stream")),
            ("mask", ("m.png", PNG, "image/png")),
        ]
    )
    assert body["image"] == body["mask"] == PNG_URL
    assert body["reference_images"] == ["data:image/jpeg;base64," + base64.b64encode(second).decode()]


@pytest.mark.parametrize(
    ("content", "media", "kind"),
    [
        (PNG, "application/octet-stream", "png"),
        (b"GIF89a..", "application/octet-stream", "gif"),
        (b"RIFF0000WEBPVP8 ", "application/octet-stream", "webp"),
        (b"whatever", "image/webp", "webp"),
        (b"whatever", "image/jpg", "jpeg"),
    ],
)
def test_a_file_is_what_it_says_or_else_what_it_looks_like(content, media, kind):
    assert edit({"image": ("f", content, media)})["image"].startswith(f"data:image/{kind};base64,")


def test_a_form_is_refused_where_it_does_not_carry_over():
    picture = {"image": ("a.png", PNG, "image/png")}
    assert "no counterpart" in refused("unknown_member", "user", edit, picture, user="jane")
    refused("ambiguous_member", "model", edit, picture, Model="x")
    refused("ambiguous_member", "model", edit, picture, **{"model[]": "x"})
    refused("unknown_member", "svg[model]", edit, picture, **{"svg[model]": "x"})
    refused("unknown_value", "stream", edit, picture, stream="true")
    refused("wrong_type", "n", edit, picture, n="2.0")
    refused("wrong_type", "image", edit, {"image": ("a.txt", b"text", "text/plain")})
    refused("wrong_type", "image", edit, {"image": ("a.png", b"", "image/png")})
    refused("wrong_type", "image", edit, {"image": ("a", b"nothing known", "application/octet-stream")})
    refused("wrong_type", "size", edit, {**picture, "size": ("s.txt", b"1024x1024", "text/plain")})
    refused("missing_member", "image", edit, {"mask": ("m.png", PNG, "image/png")})
    refused("ambiguous_member", "image", edit, [*picture.items(), ("image[]", ("b.png", PNG, "image/png"))])
    assert edit(picture, stream="false") == edit(picture)


def test_a_field_that_is_not_utf8_is_refused():
    body = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--b--\r\n'
    headers = ((b"content-type", b"multipart/form-data; boundary=b"),)
    refused("unreadable_json", "prompt", native, "/v1/images/edits", body, headers)


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ({"images": [{"image_url": PNG_URL}]}, {"image": PNG_URL}),
        ({"image": PNG_URL}, {"image": PNG_URL}),
        ({"image": [PNG_URL, PNG_URL]}, {"image": PNG_URL, "reference_images": [PNG_URL]}),
        ({"image": PNG_URL, "mask": {"image_url": PNG_URL}}, {"image": PNG_URL, "mask": PNG_URL}),
        ({"image": PNG_URL, "mask": None}, {"image": PNG_URL}),
    ],
)
def test_an_edit_in_json_carries_its_pictures_along(body, reads):
    got = native("/v1/images/edits", orjson.dumps({"prompt": "p", "model": "a/b", **body}))
    assert got == {"prompt": "p", "model": "a/b", "store": False, **reads}


@pytest.mark.parametrize(
    "picture",
    ["https://example.test/a.png", {"file_id": "file-1"}, {"image_url": PNG_URL, "file_id": "file-1"}, 7, "",
     {"image_url": "http://169.254.169.254/"}, "data:text/html;base64,eA==", "data:image/png;base64,eA==#"],
)  # fmt: skip
def test_a_picture_that_somebody_else_keeps_is_refused(picture):
    body = orjson.dumps({"prompt": "p", "images": [picture]})
    refused("wrong_type", "images", native, "/v1/images/edits", body)


def test_pictures_named_twice_are_refused():
    body = orjson.dumps({"prompt": "p", "images": [PNG_URL], "image": PNG_URL})
    refused("ambiguous_member", "image", native, "/v1/images/edits", body)


def test_a_form_is_no_body_for_a_generation():
    headers = ((b"content-type", b"multipart/form-data; boundary=b"),)
    refused("unsupported_media_type", "content-type", native, "/v1/images/generations", b"", headers)


@pytest.mark.parametrize("headers", [(), (*JSON, *JSON), (*JSON, (b"Content-Encoding", b"gzip"))])
def test_a_body_that_is_coded_or_of_two_types_is_refused(headers):
    with pytest.raises(Unreadable) as caught:
        native("/v1/images/edits", b"{}", headers)
    assert caught.value.code in ("unsupported_media_type", "content_coding")
