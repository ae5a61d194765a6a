"""The `openai` and `@anthropic-ai/sdk` packages for Node, held to the same list as the Python ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.running import UPSTREAM_KEY, Stage
from tests.sdks.node_sdks import MISSING, Answer, Node, running_node
from tests.sdks.test_every_use import ALLOWED
from tests.sdks.uses import CHAT, EMBEDDING, IMAGE, PROMPT, SAID

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
MODEL = f"example-us/{CHAT}"
TOOLS = '[[tool:weather {"city": "Malmö"}]] How is the weather?'


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One use of `drive.mjs`, the pool it asks for, what it gives, and where the gateway has to see it."""

    endpoint: str
    mode: str
    upstream: str
    pool: str = CHAT
    said: Any = SAID

    def ask(self, node: Node, stage: Stage, provider: str = "example-us", **more: Any) -> Answer:
        """Use it with the key of project `open`."""
        fields = {"url": stage.url, "key": stage.keys["open"], "prompt": PROMPT}
        return node.ask(
            f"{self.endpoint} {self.mode}", **{**fields, "model": f"{provider}/{self.pool}", **more}
        )


OPENAI, MESSAGES = "/v3/compat", "/v3/compat/v1/messages"
USES = (
    NodeUse("openai chat.completions", "plain", f"{OPENAI}/chat/completions"),
    NodeUse("openai chat.completions", "stream", f"{OPENAI}/chat/completions"),
    NodeUse("openai responses", "plain", f"{OPENAI}/responses"),
    NodeUse("openai responses", "stream", f"{OPENAI}/responses"),
    NodeUse("openai embeddings", "plain", f"{OPENAI}/embeddings", EMBEDDING, "2 vectors of number"),
    NodeUse("openai images.generate", "plain", "/v3/images", IMAGE, "a picture"),
    NodeUse("openai images.edit", "multipart", "/v3/images", IMAGE, "a picture"),
    NodeUse("anthropic messages", "plain", MESSAGES),
    NodeUse("anthropic messages", "stream", MESSAGES),
    NodeUse("anthropic messages.count_tokens", "plain", f"{MESSAGES}/count_tokens", said=None),
)
STREAMS = [use for use in USES if use.mode == "stream"]


def each(*promises: str) -> pytest.MarkDecorator:
    marked = [
        pytest.param(
            use,
            id=f"{use.endpoint} {use.mode}".replace(" ", "-"),
            marks=pytest.mark.covers(use.endpoint, use.mode, *promises, by="Node"),
        )
        for use in USES
    ]
    return pytest.mark.parametrize("use", marked)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with running_node() as found:
        yield found


@each("verdict", "record", "fidelity")
def test_a_compliant_route_answers_from_the_very_bytes_and_is_recorded(
    use: NodeUse, node: Node, stage: Stage
) -> None:
    got = use.ask(node, stage)
    assert got.said == use.said
    if use.said is None:
        assert (got.error["status"], got.error["typed"]) == (404, True)
    (seen,) = stage.seen
    assert seen.path == use.upstream
    assert got.headers["x-ringfence-route"] == f"example-us/{use.pool}"
    if use.upstream == "/v3/images":
        assert (seen.json()["prompt"], seen.json()["store"]) == (PROMPT, False)
    else:
        assert seen.body == got.bodies[0] != b""
    assert {name.decode().lower() for name, _ in seen.headers} <= ALLOWED
    assert seen.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert stage.keys["open"] not in str(seen.headers)
    rid = got.headers["x-ringfence-decision-id"]
    intent, outcome = stage.record(rid, "intent"), stage.record(rid, "outcome")
    assert (intent["agent"], intent["stream"]) == (
        f"{use.endpoint.partition(' ')[0]}-node", use.mode == "stream",
    )  # fmt: skip
    assert (outcome["end"], outcome["bytes"]) == ("complete", got.exchanges[0]["received"])


@each("refusal")
def test_a_refusal_is_the_sdks_own_error_is_not_retried_and_says_why(
    use: NodeUse, node: Node, stage: Stage
) -> None:
    got = use.ask(node, stage, "example-open")
    error = got.error
    assert (error["name"], error["typed"], error["status"]) == ("PermissionDeniedError", True, 403)
    details = error["body"] if use.endpoint.startswith("openai") else error["body"]["error"]["details"]
    code = error["code"] if use.endpoint.startswith("openai") else details["error_code"]
    assert code == "requirement_unmet"
    assert f"example-us/{use.pool}" in details["compliant_routes"]
    assert "training is not met" in error["message"]
    assert len(got.exchanges) == 1
    assert stage.seen == ()
    assert stage.record(details["decision_id"], "refusal")["reason"] == code


@pytest.mark.parametrize("use", STREAMS, ids=lambda use: str(use.endpoint).replace(" ", "-"))
def test_a_stream_in_lockstep_completes(use: NodeUse, node: Node, stage: Stage) -> None:
    with stage.lockstep():
        got = use.ask(node, stage, control=stage.simulator.control_url)
    assert got.said == SAID
    assert got.exchanges[0]["events"] == stage.seen[0].events_sent > 3


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize("use", STREAMS, ids=lambda use: str(use.endpoint).replace(" ", "-"))
def test_a_stream_that_the_gateway_breaks_off_never_ends_cleanly(
    use: NodeUse, kind: str, node: Node, stage: Stage
) -> None:
    stage.fault(kind, after=300)
    got = use.ask(node, stage)
    assert got.said is None
    assert got.error
    rid = got.exchanges[0]["answer"]["x-ringfence-decision-id"]
    assert stage.record(rid, "outcome")["end"] == "upstream_reset"


@pytest.mark.parametrize(
    "use",
    [
        "openai tools", "openai streamed tools", "openai responses tools",
        "anthropic tools", "anthropic streamed tools",
    ],
)  # fmt: skip
def test_assistant_turns_with_tools_can_be_replayed_as_they_came(use: str, node: Node, stage: Stage) -> None:
    got = node.ask(use, url=stage.url, key=stage.keys["open"], model=MODEL, prompt=TOOLS)
    assert got.said == "Done, with 1 tool result.", got.error
    assert [each.body for each in stage.seen] == got.bodies
    assert len(got.bodies) == 2


def test_the_beta_namespace_works(node: Node, stage: Stage) -> None:
    got = node.ask("anthropic beta", url=stage.url, key=stage.keys["open"], model=MODEL, prompt=PROMPT)
    assert got.said == SAID
    assert stage.seen[0].header("anthropic-beta") == "context-1m-2025-08-07"


@pytest.mark.parametrize(
    "sdk",
    [
        pytest.param(sdk, marks=pytest.mark.covers(f"{sdk} models.list", "plain", "verdict", by="Node"))
        for sdk in ("openai", "anthropic")
    ],
)
def test_the_model_list_shows_what_the_callers_policies_allow(sdk: str, node: Node, stage: Stage) -> None:
    shown = {
        name: set(node.ask(f"{sdk} models", url=stage.url, key=stage.keys[name]).said)
        for name in ("open", "mission", "alone")
    }
    assert {"example-us/atlas-1", "example-eu/atlas-1"} <= shown["open"]
    assert not any(model.startswith("example-eu/") for model in shown["mission"])
    assert not any(model.startswith("example-open/") for model in shown["open"] | shown["mission"])
    assert shown["alone"] == set()


PLAIN = {"openai": "openai chat.completions plain", "anthropic": "anthropic messages plain"}


@pytest.mark.parametrize("sdk", PLAIN)
@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (401, "AuthenticationError", "unknown_key"),
        (400, "BadRequestError", "unknown_member"),
        (404, "NotFoundError", "unknown_endpoint"),
        (429, "RateLimitError", "rate_limited"),
        (502, "InternalServerError", "upstream_broke_off"),
        (503, "InternalServerError or ServiceUnavailableError", ""),
    ],
)
def test_every_error_is_the_sdks_own(
    sdk: str, status: int, name: str, code: str, node: Node, stage: Stage
) -> None:
    fields: dict[str, Any] = {"url": stage.url, "key": stage.keys["open"], "model": MODEL, "prompt": "hi"}
    use = PLAIN[sdk]
    if status == 401:
        fields["key"] = "sk-nobody-Zq3vT8wKx5nR2mB7cL9dF4hJ6"
    elif status == 400:
        fields["extra"] = {"frobnicate": 1}
    elif status == 404:
        use = f"{sdk} elsewhere"
    elif status == 429:
        fields |= {"key": stage.keys["limited"], "retries": 0}
        node.ask(use, **fields)
    elif status == 502:
        fields["retries"] = 0
        stage.fault("reset", after=-1)
    elif status == 503:
        fields["retries"] = 0
        stage.fault("status", status=503, retry_after="7")
    got = node.ask(use, **fields)
    assert got.error["name"] in name.split(" or ")
    assert (got.error["typed"], got.error["status"]) == (True, status)
    if code:
        body = got.error["body"]
        found = got.error["code"] if sdk == "openai" else body["error"]["details"]["error_code"]
        assert found == code
    assert len(got.exchanges) == 1
