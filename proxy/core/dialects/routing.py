"""which dialect and endpoint a request is for, by its raw path

Paths are compared as they came, byte for byte: nothing is decoded, normalised or matched by prefix, so
there is no second path that this or another server could see in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.core.dialects import DIALECTS, Dialect
from proxy.core.dialects.reading import path_model
from proxy.core.errors import Unreadable
from proxy.core.values import Endpoint, Match, RawRequest

_PLAIN_PATH = re.compile(r"/|(?:/[A-Za-z0-9._~@:+-]+)+")
_QUERY_VALUE = re.compile(r"[A-Za-z0-9._~-]{0,512}")
_SESSION = "/v3/session/"
_SESSION_ID = re.compile(r"sess_[A-Za-z0-9-]{1,64}")
# Key rules are those of the opper CLI (src/util/session-url.ts); values are held to plain characters,
# because Opper keeps tags in its usage records even at zero retention.
_TAG = re.compile(r"(?!opper\.)[A-Za-z][A-Za-z0-9_.-]{0,63}:[A-Za-z0-9_.-]{1,256}")
_MOST_TAGS = 8
# A reader that splits at the first colon must not find another operation in a model's name.
_VERB = re.compile(r":(?:[a-z]+[A-Z][A-Za-z]*|predict)(?=[:/]|$)")


@dataclass(frozen=True, slots=True)
class _Template:
    """A path with a model in it: what stands before and after the model."""

    head: str
    tail: str
    endpoint: Endpoint

    def fits(self, method: str, path: str) -> bool:
        """Whether a request may be for this endpoint, whatever its model."""
        return self.endpoint.method == method and path.startswith(self.head) and path.endswith(self.tail)


def _compile() -> tuple[Mapping[str, tuple[Endpoint, ...]], Sequence[_Template]]:
    exact: dict[str, tuple[Endpoint, ...]] = {}
    templates = []
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            head, brace, tail = endpoint.template.partition("{model}")
            if brace:
                templates.append(_Template(head, tail, endpoint))
            else:
                exact[head] = (*exact.get(head, ()), endpoint)
    # An operation's tail is looked for before a bare model, which would swallow it.
    return exact, sorted(templates, key=lambda each: (-len(each.tail), -len(each.head)))


_EXACT, _TEMPLATES = _compile()
# A path that one operation has alone needs no look at the rest of the request.
_SOLE = {
    (endpoint.method, path): Match(endpoint)
    for path, endpoints in _EXACT.items()
    for endpoint in endpoints
    if [each.method for each in endpoints].count(endpoint.method) == 1
}
_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}


def dialect_of(endpoint: Endpoint) -> Dialect:
    """The dialect that an endpoint belongs to."""
    return _BY_NAME[endpoint.dialect]


def match(raw: RawRequest) -> Match | None:
    """The endpoint that a request is for; None when the proxy offers no such path.

    Raises `Unreadable`: `bad_request_target` for a path that can be read as another, a query that
    the endpoint does not take, or signals of two SDKs; `method_not_allowed`.
    """
    found = _SOLE.get((raw.method, raw.path)) or _find(raw, raw.path, session="")
    if found is None and raw.path.startswith(_SESSION):
        session, native = _session(raw.path)
        found = _find(raw, native, session=session)
    if found is None:
        if not _PLAIN_PATH.fullmatch(raw.path) or _has_dots(raw.path):
            raise _bad_target("The path is not written plainly; send it exactly as the API documents it.")
        return None
    if raw.query:
        _check_query(raw.query, found.endpoint.query)
    return found


def _find(raw: RawRequest, path: str, *, session: str) -> Match | None:
    endpoints = _EXACT.get(path)
    if endpoints is not None:
        return Match(_owner(raw, _allowed(endpoints, raw.method)), session=session)
    fitting = [each for each in _TEMPLATES if each.fits(raw.method, path)]
    if not fitting:
        return None
    first = fitting[0]
    alike = [each.endpoint for each in fitting if (each.head, each.tail) == (first.head, first.tail)]
    endpoint = _owner(raw, alike)
    model = _model(path[len(first.head) : len(path) - len(first.tail)], endpoint)
    return Match(endpoint, model=model, session=session)


def _model(written: str, endpoint: Endpoint) -> str:
    # SDKs write a model's slash encoded when they look one model up. The look-up is answered here and
    # goes nowhere, so this one encoding has one reading; in any path that travels on it is refused.
    if not endpoint.upstream:
        written = written.replace("%2F", "/").replace("%3A", ":")
    if _VERB.search(written):
        raise _bad_target("The path names more than one operation.")
    return path_model(written)


def _allowed(endpoints: Sequence[Endpoint], method: str) -> list[Endpoint]:
    allowed = [endpoint for endpoint in endpoints if endpoint.method == method]
    if not allowed:
        known = " or ".join(sorted({endpoint.method for endpoint in endpoints}))
        raise Unreadable("method_not_allowed", f"This path takes {known}.")
    return allowed


def _owner(raw: RawRequest, endpoints: Sequence[Endpoint]) -> Endpoint:
    """Of several dialects with one path, the one whose SDK is asking; OpenAI where nothing tells."""
    if len(endpoints) == 1:
        return endpoints[0]
    anthropic = b"anthropic-version" in raw.fields.first
    google = b"x-goog-api-key" in raw.fields.first or raw.query.startswith("key=") or "&key=" in raw.query
    if anthropic and google:
        raise _bad_target("The request shows the headers of two SDKs on a path that both have.")
    wanted = "anthropic" if anthropic else "google" if google else "openai"
    return next((endpoint for endpoint in endpoints if endpoint.dialect == wanted), endpoints[0])


def _session(path: str) -> tuple[str, str]:
    """The session id, and the compat path that a session path stands for; its tags go nowhere."""
    session, _, rest = path.removeprefix(_SESSION).partition("/")
    if not _SESSION_ID.fullmatch(session):
        raise _bad_target("A session id begins with sess_ and holds letters, digits and dashes.")
    tags = 0
    while ":" in rest.partition("/")[0]:
        tag, _, rest = rest.partition("/")
        tags += 1
        if tags > _MOST_TAGS or not _TAG.fullmatch(tag):
            raise _bad_target(
                "A session tag is name:value in plain letters, digits, dots, dashes; at most 8."
            )
    return session, "/v3/compat/" + rest


def _check_query(query: str, allowed: Sequence[str]) -> None:
    names: set[str] = set()
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        listed = pair in allowed or (
            bool(equals) and name + "=" in allowed and bool(_QUERY_VALUE.fullmatch(value))
        )
        if not listed or name in names:
            takes = " or ".join(allowed) or "nothing"
            raise _bad_target(f"The query of this endpoint takes {takes}, each once. Leave the rest out.")
        names.add(name)


def _has_dots(path: str) -> bool:
    return not {".", ".."}.isdisjoint(path.split("/"))


def _bad_target(words: str) -> Unreadable:
    return Unreadable("bad_request_target", words)
