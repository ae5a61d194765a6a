"""A form has one reading, or it is refused."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import Unreadable
from proxy.core.multipart import Part, read_form

TYPE = b"multipart/form-data; boundary=b1"


def form(*parts: bytes, end: bytes = b"--b1--\r\n") -> bytes:
    return b"".join(b"--b1\r\n" + part + b"\r\n" for part in parts) + end


def field(name: bytes, value: bytes = b"x", more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value


def headed(parameter: bytes, second: bytes, value: bytes) -> bytes:
    return b"Content-Disposition: form-data; " + parameter + b"\r\n" + second + b"\r\n\r\n" + value


MODEL = field(b"model", b"azure/gpt-5.5")


def read(body: bytes, content_type: bytes = TYPE):
    return read_form(body, content_type, lists={"image[]"})


@given(
    fields=st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text(max_size=40), max_size=4),
    content=st.binary(max_size=200),
)
def test_what_the_sdks_client_library_sends_is_read_as_meant(fields, content):
    request = httpx2.Request(
        "POST", "http://proxy.test/", data=fields, files=[("image[]", ("a.png", content, "image/png"))] * 2
    )
    parts = read(request.read(), request.headers["content-type"].encode())
    assert {part.name: part.content.decode() for part in parts if not part.is_file} == fields
    assert [part for part in parts if part.is_file] == [Part("image[]", True, "image/png", content)] * 2


def test_the_last_line_end_may_be_missing():
    assert read(form(MODEL, end=b"--b1--")) == read(form(MODEL))


def test_a_quoted_boundary_and_a_charset_are_read():
    part = b'content-disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx'
    (got,) = read(form(part), b'multipart/form-data; boundary="b1"')
    assert got == Part("model", False, "text/plain", b"x")


BROKEN = {
    "preamble": b"model\r\n" + form(MODEL),
    "epilogue": form(MODEL) + MODEL,
    "line feeds": form(MODEL).replace(b"\r\n", b"\n"),
    "a line feed before an inner boundary": form(field(b"file", b"\n--b1\n" + MODEL)),
    "no end": form(MODEL, end=b""),
    "no parts": b"--b1--\r\n",
    "empty": b"",
    "space after a boundary": form(MODEL).replace(b"--b1\r\n", b"--b1 \r\n"),
    "space after an inner boundary": form(MODEL, field(b"n")).replace(b"\r\n--b1\r\n", b"\r\n--b1 \r\n"),
    "nested form": form(headed(b'name="m"', b"Content-Type: multipart/mixed; boundary=i", b"x")),
    "nested form without parameter": form(headed(b'name="m"', b"Content-Type: multipart/mixed", b"x")),
    "transfer encoding": form(headed(b'name="m"', b"Content-Transfer-Encoding: base64", b"eA==")),
    "content coding": form(headed(b'name="m"', b"Content-Encoding: gzip", b"x")),
    "two dispositions": form(headed(b'name="a"', b'Content-Disposition: form-data; name="b"', b"x")),
    "no disposition": form(b"Content-Type: text/plain\r\n\r\nx"),
    "no head": form(b"\r\n\r\nx"),
    "folded head": form(b'Content-Disposition: form-data;\r\n name="model"\r\n\r\nx'),
    "bare line feed in a head": form(b'Content-Disposition: form-data; name="a"\nX: y\r\n\r\nx'),
    "extended name": form(field(b"x", more=b"; name*=UTF-8''model")),
    "extended file name": form(field(b"x", more=b"; filename*=UTF-8''a.png")),
    "unquoted name": form(b"Content-Disposition: form-data; name=model\r\n\r\nx"),
    "escaped name": form(field(b'mo\\"del')),
    "two names": form(field(b"x", more=b'; name="model"')),
    "attachment": form(b'Content-Disposition: attachment; name="model"\r\n\r\nx'),
    "space before the colon": form(b'Content-Disposition : form-data; name="model"\r\n\r\nx'),
    "a head of kilobytes": form(field(b"m", more=b'; filename="' + b"x" * 3000 + b'"')),
    "too many parts": form(*(field(b"f%d" % n) for n in range(65))),
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_form_that_readers_take_differently_is_refused(body):
    with pytest.raises(Unreadable) as caught:
        read(body)
    assert caught.value.code == "bad_request_body"


@pytest.mark.parametrize("second", [b"model", b"image"])
def test_a_field_that_stands_twice_is_refused_by_name(second):
    with pytest.raises(Unreadable) as caught:
        read(form(field(second), MODEL, field(second)))
    assert (caught.value.code, caught.value.param) == ("duplicate_key", second.decode())


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data", b"multipart/mixed; boundary=b1",
        b"multipart/form-data; boundary=b1; boundary=b2",
        b"multipart/form-data; boundary=b1; charset=utf-8", b'multipart/form-data; boundary="b1',
        b"multipart/form-data; boundary*=b1", b"multipart/form-data; boundary=", b"application/json",
        b"multipart/form-data; boundary=b1 ", b"multipart/form-data;\tboundary=b1",
    ],
)  # fmt: skip
def test_a_content_type_with_two_readings_is_refused(content_type):
    with pytest.raises(Unreadable) as caught:
        read(form(MODEL), content_type)
    assert caught.value.code == "unsupported_media_type"


@given(st.binary(max_size=300))
def test_no_bytes_at_all_do_worse_than_a_refusal(noise):
    for body in (noise, b"--b1\r\n" + noise, form(noise)):
        try:
            parts = read(body)
        except Unreadable:
            continue
        # What was read is there in the bytes, part by part.
        assert all(part.content in body and part.name.encode("latin-1") in body for part in parts)
