"""the one translation: OpenAI's image endpoints onto Opper's native `/v3/images`

Opper documents no image path in OpenAI's form (https://docs.opper.ai/v3-api-reference/images/create-image).
The evaluation runs on the translated body. Members that have no counterpart are refused by name:
dropping one in silence would change the picture, passing it on would be a guess.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from proxy.core.dialects.reading import require_json, single_media
from proxy.core.errors import Unreadable
from proxy.core.members import fold
from proxy.core.multipart import Part, is_form, read_form
from proxy.core.strict_json import parse_object
from proxy.core.values import Endpoint, Json, Match, RawRequest

TRANSLATION = "openai_images_to_opper_images"
NATIVE = "/v3/images"
_MOST_IMAGES = 4

_CARRIED = ("model", "prompt", "n", "size", "quality", "style", "response_format")
_FILES = ("image", "mask")
# Known to the SDK and without counterpart at Opper: refused in other words than a stranger.
_LEFT_BEHIND = frozenset(
    {
        "background", "complexity", "frame_count", "frame_duration_ms", "input_fidelity", "markup",
        "moderation", "output_compression", "output_format", "partial_images", "safety_identifier", "svg",
        "user",
    }
)  # fmt: skip
_KNOWN = {fold(name): name for name in (*_CARRIED, *_FILES, *_LEFT_BEHIND, "images", "stream", "store")}
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_MEDIA = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/webp": "webp",
    "image/gif": "gif",
}
_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("png", lambda content: content.startswith(b"\x89PNG\r\n\x1a\n")),
    ("jpeg", lambda content: content.startswith(b"\xff\xd8\xff")),
    ("gif", lambda content: content.startswith((b"GIF87a", b"GIF89a"))),
    ("webp", lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP"),
)


def endpoints(prefix: str) -> tuple[Endpoint, ...]:
    """The two image endpoints below a prefix."""
    return (
        Endpoint("images.generate", "openai", "POST", prefix + "/images/generations", NATIVE, "opper.images"),
        Endpoint(
            "images.edit",
            "openai",
            "POST",
            prefix + "/images/edits",
            NATIVE,
            "opper.images",
            media="application/json, multipart/form-data",
        ),
    )


def is_translated(match: Match) -> bool:
    """Whether a request still has to be translated."""
    return match.endpoint.upstream == NATIVE and not match.translation


def translate(raw: RawRequest, match: Match) -> tuple[RawRequest, Match]:
    """The request as Opper's native one, with `store: false`; raises `Unreadable`."""
    edits = match.endpoint.operation == "images.edit"
    if edits and is_form(media := single_media(raw.fields)):
        given = _from_form(read_form(raw.body, media, lists={"image[]"}))
    else:
        require_json(raw.fields)
        given = _from_json(parse_object(raw.body), edits=edits)
    headers = tuple(pair for pair in raw.headers if pair[0].lower() != b"content-type")
    native = replace(
        raw, headers=(*headers, (b"content-type", b"application/json")), body=orjson.dumps(_native(given))
    )
    return native, replace(match, translation=TRANSLATION)


def _native(given: Mapping[str, Json]) -> dict[str, Json]:
    body = {name: given[name] for name in _CARRIED if given.get(name) is not None}
    number = body.get("n")
    if number is not None and (type(number) is not int or not 1 <= number <= _MOST_IMAGES):
        raise _refused(
            "wrong_type", "n", f"must be a number from 1 to {_MOST_IMAGES}; Opper makes no more at once"
        )
    if body.get("response_format", "b64_json") != "b64_json":
        raise _refused(
            "unknown_value", "response_format", "must be b64_json: a link would need the picture to be kept"
        )
    pictures = given.get("image")
    if isinstance(pictures, list) and pictures:
        body["image"] = pictures[0]
        if pictures[1:]:
            body["reference_images"] = pictures[1:]
    if given.get("mask") is not None:
        body["mask"] = given["mask"]
    # Opper keeps its output unless told not to.
    return {**body, "store": False}


# -- from JSON -------------------------------------------------------------------------------------


def _from_json(body: Mapping[str, Json], *, edits: bool) -> dict[str, Json]:
    given: dict[str, Json] = {}
    for name, value in body.items():
        if name in _CARRIED:
            given[name] = value
        elif edits and name in ("image", "images"):
            given["image"] = _pictures(value, name, given)
        elif edits and name == "mask":
            given["mask"] = None if value is None else _picture(value, name)
        elif name == "stream":
            _refuse_stream(value)
        elif value is not None or name not in _LEFT_BEHIND:
            raise _no_counterpart(name)
    _require(given, edits=edits)
    return given


def _pictures(value: Json, name: str, given: Mapping[str, Json]) -> Json:
    if "image" in given:
        raise _refused("ambiguous_member", "image", "stands twice, as image and as images")
    return [_picture(item, name) for item in (value if isinstance(value, list) else [value])]


def _picture(value: Json, name: str) -> str:
    """The picture itself; a reference to one is kept or fetched by somebody else, and refused."""
    if isinstance(value, dict) and set(value) == {"image_url"}:
        value = value["image_url"]
    if isinstance(value, str) and _DATA_URL.fullmatch(value):
        return value
    raise _refused("wrong_type", name, "must be the picture itself as a data: URL, not a link or a file id")


def _refuse_stream(value: Json) -> None:
    if value is not None and value is not False:
        raise _refused("unknown_value", "stream", "must be left out: Opper's image endpoint does not stream")


def _require(given: Mapping[str, Json], *, edits: bool) -> None:
    for name in ("prompt", "image") if edits else ("prompt",):
        if not given.get(name):
            raise _refused("missing_member", name, "is missing")


# -- from a form -----------------------------------------------------------------------------------


def _from_form(parts: tuple[Part, ...]) -> dict[str, Json]:
    given: dict[str, Json] = {}
    pictures: list[Json] = []
    names = {part.name for part in parts}
    if {"image", "image[]"} <= names:
        raise _refused("ambiguous_member", "image", "stands twice, as image and as image[]")
    for part in parts:
        if part.name in ("image", "image[]"):
            pictures.append(_file(part))
        elif part.name == "mask":
            given["mask"] = _file(part)
        elif part.name == "stream":
            _refuse_stream(_text(part) != "false")
        elif part.name in _CARRIED:
            given[part.name] = _number(part) if part.name == "n" else _text(part)
        else:
            raise _no_counterpart(part.name)
    given["image"] = pictures
    _require(given, edits=True)
    return given


def _file(part: Part) -> str:
    """A data URL. The declared type counts; without one the content's own signature does."""
    kind = _MEDIA.get(part.media)
    if kind is None and part.media in ("", "application/octet-stream"):
        kind = next((name for name, fits in _SIGNATURES if fits(part.content)), None)
    if kind is None or not part.content:
        raise _refused("wrong_type", part.name, "must be a PNG, JPEG, WebP or GIF file")
    return f"data:image/{kind};base64,{base64.b64encode(part.content).decode('ascii')}"


def _text(part: Part) -> str:
    if part.is_file or part.media not in ("", "text/plain"):
        raise _refused("wrong_type", part.name, "must be a plain field, not a file")
    try:
        return part.content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("unreadable_json", part.name, "is not UTF-8") from None


def _number(part: Part) -> int:
    text = _text(part)
    if not re.fullmatch(r"[1-9][0-9]?", text):
        raise _refused("wrong_type", part.name, "must be a number")
    return int(text)


# -- wording ---------------------------------------------------------------------------------------


def _no_counterpart(name: str) -> Unreadable:
    if name in _LEFT_BEHIND:
        return _refused("unknown_member", name, "has no counterpart in Opper's image endpoint; leave it out")
    known = _KNOWN.get(fold(name))
    if known is not None and known != name:
        return _refused("ambiguous_member", known, "is spelled almost like another member; spell it exactly")
    return _refused(
        "unknown_member", name[:64], "is no member of this endpoint that the proxy knows; leave it out"
    )


def _refused(code: str, name: str, words: str) -> Unreadable:
    return Unreadable(code, f"{name} {words}.", param=name)
