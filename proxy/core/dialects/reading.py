"""the steps of reading that dialects share: one media type, one body, every model that it names"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.core.errors import Unreadable
from proxy.core.fields import Fields
from proxy.core.glance import in_order
from proxy.core.members import Shape, read_members
from proxy.core.strict_json import load_object, vet
from proxy.core.values import Call, Edit, Effect, Json, Match, Pointer, RawRequest, Signal

if TYPE_CHECKING:
    from proxy.core.dialects.base import Tables

_JSON_TYPE = re.compile(rb'application/json(?:; ?charset=(?:utf-8|"utf-8"))?', re.IGNORECASE)
_MOST_TEXTS, _MOST_TOKENS = 2048, 8192
MOST_MODELS = 16
"""Models that one request may name: each is judged by every policy, while others wait."""
LONGEST_MODEL = 256
"""Characters of a model's name; no id of the catalogue is longer."""
_ORDERED_PLACES = ("tools", "tool", "definition", "tool_changes")
_TOOL_PLACES = frozenset(_ORDERED_PLACES)
_CONTAINERS = (dict, list)
_PATH_MODEL = re.compile(r"[A-Za-z0-9._:@+-]+(?:/[A-Za-z0-9._:@+-]+)*")


def single_media(fields: Fields) -> bytes:
    """The one content type of an uncoded body, or `Unreadable`."""
    if b"content-encoding" in fields.first:
        raise Unreadable(
            "content_coding", "Send the body without Content-Encoding.", param="content-encoding"
        )
    media = fields.first.get(b"content-type")
    if media is None or b"content-type" in fields.repeated:
        raise Unreadable("unsupported_media_type", "Send exactly one Content-Type.", param="content-type")
    return media


def require_json(fields: Fields) -> None:
    """Take JSON as UTF-8 and nothing that another reader could take for something else."""
    media = single_media(fields)
    if media != b"application/json" and not _JSON_TYPE.fullmatch(media):
        raise Unreadable(
            "unsupported_media_type", "Send Content-Type: application/json.", param="content-type"
        )


def require_no_body(raw: RawRequest) -> None:
    """Refuse a body where none has a meaning."""
    if raw.body:
        raise Unreadable("bad_request_body", "This endpoint takes no body.")


def bodiless(match: Match) -> Call:
    """The call of an endpoint that the proxy answers by itself."""
    endpoint = match.endpoint
    return Call(endpoint.operation, endpoint.dialect, (), stream=False, effects=(), model_at=())


def read_json(raw: RawRequest, match: Match, tables: Tables) -> tuple[dict[str, Json], tuple[Effect, ...]]:
    """The body by its only reading, and the members in it that no table knows; raises `Unreadable`."""
    require_json(raw.fields)
    tables.headers.judge(raw.fields)
    body = load_object(raw.body)
    shape = tables.members.table(match.endpoint.members)
    return body, () if in_order(shape, body, raw.body) else _strangers(shape, body, raw.body)


def features(
    body: dict[str, Json], match: Match, tables: Tables, models: Sequence[str], places: Sequence[Pointer] = ()
) -> tuple[Effect, ...]:
    """What a body asks for, by the rules about every model that may serve it, the main one first."""
    table = match.endpoint.members
    others = tuple(zip(models[1:], places, strict=True))
    return tables.effects.find(table.partition(".")[0], table, body, model=models[0], others=others)


def _strangers(shape: Shape, body: dict[str, Json], source: bytes) -> tuple[Effect, ...]:
    """What is not in order at a glance: refused, or reported as members that no table knows."""
    vet(body, source)
    return unknown_members(read_members(shape, body).unknown)


def references(body: dict[str, Json]) -> tuple[tuple[str, ...], tuple[Pointer, ...]]:
    """Every model that a body in the OpenAI or Anthropic manner names, and where all but the first stand.

    The main one comes first; a missing or null one reads as "", which no policy lets pass. Models
    within tools count: the tool would send the content to them. Raises `Unreadable`: wrong_type,
    unknown_model for a name that is too long for one, too_many_members.
    """
    found = [_model(body.get("model"), "model")]
    places: list[Pointer] = []
    fallbacks = body.get("fallback_models")
    if fallbacks is not None and not isinstance(fallbacks, list):
        raise Unreadable("wrong_type", "fallback_models must be a list.", param="fallback_models")
    for index, item in enumerate((fallbacks or ())[:MOST_MODELS]):
        found.append(_model(item, "fallback_models"))
        places.append(("fallback_models", index))
    for place, tool in _tools(body):
        if tool.get("model") is not None and len(found) <= MOST_MODELS:
            found.append(_model(tool["model"], "tools.model"))
            places.append((*place, "model"))
    if len(found) > MOST_MODELS:
        words = f"A request may name {MOST_MODELS} models, its fallbacks and those of its tools among them."
        raise Unreadable("too_many_members", words, param=str(places[-1][0]))
    return tuple(found), tuple(places)


def _tools(body: dict[str, Json]) -> Iterator[tuple[Pointer, dict[str, Json]]]:
    """Every tool definition, also those that items of a conversation bring along."""
    nodes: list[tuple[Pointer, dict[str, Json]]] = [((), body)]
    nodes += _objects(body.get("input"), ("input",))
    nodes += _said(body.get("messages"))
    while nodes:
        at, node = nodes.pop()
        if _TOOL_PLACES.isdisjoint(node):
            continue
        below = [
            found for name in _ORDERED_PLACES if name in node for found in _objects(node[name], (*at, name))
        ]
        yield from below
        nodes += below


def _said(messages: Json) -> Iterator[tuple[Pointer, dict[str, Json]]]:
    """The objects in the contents of messages; a content that is one text holds none."""
    if isinstance(messages, dict):
        yield from _objects(messages.get("content"), ("messages", "content"))
    elif isinstance(messages, list):
        for index, message in enumerate(messages):
            if isinstance(message, dict) and isinstance(content := message.get("content"), _CONTAINERS):
                yield from _objects(content, ("messages", index, "content"))


def _objects(value: Json, at: Pointer) -> list[tuple[Pointer, dict[str, Json]]]:
    """An object, or the objects of a list, each with its place."""
    if isinstance(value, dict):
        return [(at, value)]
    # An embedding's input is a list of a hundred thousand numbers, and no place to look for objects.
    if not isinstance(value, list) or dict not in set(map(type, value)):
        return []
    return [((*at, index), item) for index, item in enumerate(value) if isinstance(item, dict)]


def _refuse_bulk(inputs: Json) -> None:
    """One request embeds at most 2048 texts, or one text of at most 8192 tokens, as the API documents."""
    if isinstance(inputs, list):
        most = _MOST_TOKENS if set(map(type, inputs)) == {int} else _MOST_TEXTS
        if len(inputs) > most:
            raise Unreadable("too_many_members", f"input holds more than {most} entries.", param="input")


def call_in_body(raw: RawRequest, match: Match, tables: Tables) -> Call:
    """The call of an endpoint whose body names its models; raises `Unreadable`."""
    body, strangers = read_json(raw, match, tables)
    if match.endpoint.operation == "embeddings":
        _refuse_bulk(body.get("input"))
    models, places = references(body)
    return Call(
        operation=match.endpoint.operation,
        dialect=match.endpoint.dialect,
        models=models,
        stream=is_streamed(body),
        effects=strangers + features(body, match, tables, models, places),
        agent=tables.headers.agent(raw.fields),
        fallbacks_at=places,
    )


def _model(value: Json, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable("wrong_type", f"{where} must be one model id as a string.", param=where)
    if len(value) > LONGEST_MODEL:
        raise _too_long(where, param=where)
    return value


def _too_long(where: str, *, param: str) -> Unreadable:
    words = f"{where} is longer than {LONGEST_MODEL} characters, and no model's id is."
    return Unreadable("unknown_model", words, param=param)


def is_streamed(body: Mapping[str, Json]) -> bool:
    """Whether a body asks for a stream; anything but true, false and null is refused."""
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise Unreadable("wrong_type", "stream must be true or false.", param="stream")
    return stream is True


def path_model(model: str) -> str:
    """A model id that may stand in a path as it is; raises `Unreadable` for any other."""
    if len(model) > LONGEST_MODEL:
        raise _too_long("The model in the path", param="model")
    segments = model.split("/")
    if not _PATH_MODEL.fullmatch(model) or "." in segments or ".." in segments:
        raise Unreadable("bad_request_target", "The model in the path is not written as a plain model id.")
    return model


def unknown_members(pointers: Sequence[Pointer]) -> tuple[Effect, ...]:
    """Members that no table knows, as one finding whose edits would drop them."""
    if not pointers:
        return ()
    edits = tuple(Edit(pointer, "remove") for pointer in pointers)
    return (Effect("members.unknown", (Signal.UNKNOWN_MEMBER,), "$", "a member that no table knows", edits),)
