"""Nothing that a client or the gateway says in content gets into logs, records, metrics or another's error.

Each canary is a word that stands nowhere else. It is put where content can be, in requests that pass
and in requests that are refused, and then looked for in every byte that the proxy has written.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.running import UPSTREAM_KEY, Stage, eventually, running
from tests.sdks.uses import PNG

MODEL = "example-us/atlas-1"
CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Canary:
    """A request with a word in one place. `answers` are the statuses that it may come to.

    `own` says that the sender's refusal may name the word, because it is his own member or model.
    """

    place: str
    path: str
    body: dict[str, Any]
    answers: tuple[int, ...]
    headers: tuple[tuple[str, str], ...] = ()
    own: bool = False

    @property
    def word(self) -> str:
        """The canary itself."""
        return "kanarie" + re.sub("[^a-z]", "", self.place)


def chat(**more: Any) -> dict[str, Any]:
    """A chat request that passes but for what is added."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **more}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **function}}


def said(content: Any, **more: Any) -> list[Any]:
    return [{"role": "user", "content": content, **more}]


CANARIES = [
    Canary("prompt", CHAT, chat(messages=said("kanarieprompt")), (200,)),
    Canary(
        "refused prompt", CHAT,
        chat(model="example-open/atlas-1", messages=said("kanarierefusedprompt")), (403,),
    ),
    Canary(
        "system prompt", CHAT, chat(messages=[{"role": "system", "content": "kanariesystemprompt"}]), (200,)
    ),
    Canary("unknown model", CHAT, chat(model="example-us/kanarieunknownmodel"), (403,), own=True),
    Canary("bare model", CHAT, chat(model="kanariebaremodel"), (403,), own=True),
    Canary("member name", CHAT, chat(kanariemembername=1), (400,), own=True),
    Canary("deep member", CHAT, chat(messages=said("hi", kanariedeepmember={"a": 1})), (400,), own=True),
    Canary("member value", CHAT, chat(frobnicate="kanariemembervalue"), (400,)),
    Canary("duplicate key", CHAT, {}, (400,), own=True),
    Canary("metadata key", CHAT, chat(metadata={"kanariemetadatakey": "x"}), (200, 403)),
    Canary("metadata value", CHAT, chat(metadata={"k": "kanariemetadatavalue"}), (200, 403)),
    Canary("tool name", CHAT, chat(tools=[tool(name="kanarietoolname")]), (200,)),
    Canary("tool description", CHAT, chat(tools=[tool(description="kanarietooldescription")]), (200,)),
    Canary(
        "schema property", CHAT,
        chat(tools=[tool(parameters={"type": "object", "properties": {"kanarieschemaproperty": {}}})]),
        (200,),
    ),
    Canary(
        "picture url", CHAT,
        chat(messages=said([{"type": "image_url", "image_url": {"url": "https://kanariepictureurl.test/"}}])),
        (200, 403),
    ),
    Canary(
        "file name", CHAT,
        chat(messages=said([{"type": "file", "file": {"filename": "kanariefilename", "file_data": "YQ=="}}])),
        (200, 403),
    ),
    Canary("user", CHAT, chat(user="kanarieuser"), (200, 403)),
    Canary("gateway tag", CHAT, chat(tags={"kanariegatewaytag": "x"}), (200, 403)),
    Canary("stop word", CHAT, chat(stop=["kanariestopword"]), (200,)),
    Canary("wrong type", CHAT, chat(stream="kanariewrongtype"), (400,)),
    Canary("path", "/v1/kanariepath", chat(), (404,)),
    Canary("query", f"{CHAT}?kanariequery=1", chat(), (400,)),
    Canary("session tag", "/v3/session/sess_0123/team:kanariesessiontag/chat/completions", chat(), (200,)),
    Canary("header value", CHAT, chat(), (200,), (("x-note", "kanarieheadervalue"),)),
    Canary("header name", CHAT, chat(), (200,), (("x-kanarieheadername", "1"),)),
    Canary("user agent", CHAT, chat(), (200,), (("user-agent", "kanarieuseragent/1"),)),
    Canary(
        "trace", CHAT, chat(), (200,), (("traceparent", "kanarietrace"), ("tracestate", "kanarietrace=1"))
    ),
    Canary("forwarded for", CHAT, chat(), (200,), (("x-forwarded-for", "kanarieforwardedfor"),)),
    Canary("content type", CHAT, chat(), (415,), (("content-type", "application/kanariecontenttype"),)),
    Canary(
        "beta value", "/v1/messages",
        {"model": MODEL, "max_tokens": 5, "messages": said("hi")}, (400,),
        (("anthropic-version", "2023-06-01"), ("anthropic-beta", "kanariebetavalue")), own=True,
    ),
    Canary(
        "google model", "/v1beta/models/example-us/kanariegooglemodel:generateContent",
        {"contents": []}, (403,), own=True,
    ),
    Canary(
        "image prompt", "/v1/images/generations",
        {"model": "example-us/easel-1", "prompt": "kanarieimageprompt"}, (200,),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def cage() -> Iterator[Stage]:
    """A proxy of their own, so that all that it ever wrote can be searched."""
    with running() as stage:
        yield stage


def send(canary: Canary, stage: Stage) -> httpx2.Response:
    headers = {"authorization": f"Bearer {stage.keys['open']}", "content-type": "application/json"}
    body = json.dumps(canary.body).encode()
    if canary.place == "duplicate key":
        body = b'{"model":"m","kanarieduplicatekey":1,"kanarieduplicatekey":2}'
    return httpx2.post(stage.url + canary.path, content=body, headers={**headers, **dict(canary.headers)})


def written(stage: Stage) -> bytes:
    return (stage.written() + stage.metrics().encode()).lower()


def test_a_word_that_may_be_written_is_found(cage: Stage) -> None:
    """The search sees what is there: the route's name stands in the record and in nothing else."""
    reply = send(CANARIES[0], cage)
    cage.record(reply.headers["x-ringfence-decision-id"], "outcome")
    assert MODEL.encode() in written(cage)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: str(canary.place).replace(" ", "-"))
def test_a_word_is_written_nowhere(canary: Canary, cage: Stage) -> None:
    reply = send(canary, cage)
    assert reply.status_code in canary.answers, reply.text
    rid = reply.headers.get("x-ringfence-decision-id")
    if rid and "x-ringfence-refusal" not in reply.headers:
        cage.record(rid, "outcome")
    elif rid:
        cage.record(rid, "refusal")
    assert canary.word.encode() not in written(cage)
    if "x-ringfence-refusal" in reply.headers and not canary.own:
        told = reply.text + str(reply.headers)
        assert canary.word not in told.lower()
    assert "kanarie" not in str({n: v for n, v in reply.headers.items() if n.startswith("x-ringfence")})


def test_the_parts_of_a_form_are_written_nowhere(cage: Stage) -> None:
    form = {"model": "example-us/easel-1", "prompt": "kanarieformprompt"}
    files = {"image": ("kanarieformfile.png", PNG, "image/png")}
    headers = {"authorization": f"Bearer {cage.keys['open']}"}
    passed = httpx2.post(f"{cage.url}/v1/images/edits", data=form, files=files, headers=headers)
    assert passed.status_code == 200
    refused = httpx2.post(
        f"{cage.url}/v1/images/edits",
        data={**form, "kanarieformmember": "kanarieformvalue"}, files=files, headers=headers,
    )  # fmt: skip
    assert refused.status_code == 400
    assert "kanarieformvalue" not in refused.text
    cage.record(passed.headers["x-ringfence-decision-id"], "outcome")
    assert b"kanarieform" not in written(cage)


@pytest.mark.parametrize("place", ["authorization", "x-api-key", "x-goog-api-key", "query"])
def test_a_key_that_nobody_knows_is_written_nowhere(place: str, cage: Stage) -> None:
    word = "kanariekey0123456789abcdef"
    target, headers = cage.url + CHAT, {"content-type": "application/json"}
    if place == "query":
        target = f"{cage.url}/v1beta/models/{MODEL}:generateContent?key={word}"
    else:
        headers[place] = f"Bearer {word}" if place == "authorization" else word
    reply = httpx2.post(target, json=chat(), headers=headers)
    assert reply.status_code == 401
    assert word not in reply.text + str(reply.headers)
    assert word.encode() not in written(cage)


def test_a_known_key_is_written_nowhere_and_answers_do_not_repeat_it(cage: Stage) -> None:
    reply = httpx2.post(
        cage.url + CHAT, json=chat(), headers={"authorization": f"Bearer {cage.keys['open']}"}
    )
    cage.record(reply.headers["x-ringfence-decision-id"], "outcome")
    assert cage.keys["open"] not in reply.text + str(reply.headers)
    everything = written(cage)
    assert not [key for key in (*cage.keys.values(), UPSTREAM_KEY) if key.lower().encode() in everything]


def test_the_gateways_error_text_is_relayed_and_written_nowhere(cage: Stage) -> None:
    cage.fault("echo", status=500)
    reply = httpx2.post(
        cage.url + CHAT,
        json=chat(messages=said("kanarieupstreamerror")),
        headers={"authorization": f"Bearer {cage.keys['open']}"},
    )
    assert reply.status_code == 500
    assert "kanarieupstreamerror" in reply.text
    assert UPSTREAM_KEY not in reply.text
    cage.record(reply.headers["x-ringfence-decision-id"], "outcome")
    assert b"kanarieupstreamerror" not in written(cage)


@pytest.mark.parametrize(
    "preset", ["bad_chunk_size", "two_lengths", "header_with_nul", "not_http", "folded_header"]
)
def test_a_gateway_that_talks_nonsense_is_not_quoted(preset: str, cage: Stage) -> None:
    cage.fault("raw", preset=preset)
    try:
        reply = httpx2.post(
            cage.url + CHAT, json=chat(), headers={"authorization": f"Bearer {cage.keys['open']}"}
        )
        assert reply.status_code in (200, 502)
    except httpx2.TransportError:
        pass
    for quoted in (b"x-nul", b"x-folded", b"ssh-2.0", b"chat.completion\"}"):
        assert quoted not in written(cage)


def test_a_served_by_name_that_no_catalogue_knows_is_written_nowhere(cage: Stage) -> None:
    cage.fault("served", provider="kanarieprovider", model="kanariemodel")
    reply = httpx2.post(
        cage.url + CHAT, json=chat(), headers={"authorization": f"Bearer {cage.keys['open']}"}
    )
    outcome = cage.record(reply.headers["x-ringfence-decision-id"], "outcome")
    assert outcome["served"] == "unconfirmed"
    assert b"kanarieprovider" not in written(cage)
    assert b"kanariemodel" not in written(cage)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /kanarieraw HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nkanarieraw\r\n\r\n",
        b"kanarieraw\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer kanarieraw\x00\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: kanarieraw\r\n\r\n",
    ],
    ids=["version", "no-colon", "not-http", "nul", "length"],
)
def test_a_head_that_cannot_be_parsed_is_not_quoted(head: bytes, cage: Stage) -> None:
    with socket.create_connection(("127.0.0.1", cage.port)) as connection:
        connection.sendall(head)
        connection.settimeout(10)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.")
    assert b"kanarieraw" not in answer
    eventually(lambda: cage.ready()["ready"])
    assert b"kanarieraw" not in written(cage)
