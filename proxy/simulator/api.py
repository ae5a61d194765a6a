"""the simulated API: which path answers how"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import jiter

from proxy.simulator import (
    anthropic_messages,
    google_interactions,
    google_models,
    images,
    openai_chat,
    openai_responses,
)
from proxy.simulator.answers import Answer, Refused, bad_key, no_key, plain, refusal, unknown_path
from proxy.simulator.rows import Rows, Served
from proxy.simulator.scenario import Scenario
from proxy.simulator.turns import Ask, Body, Turn, default_turn, marked_turn

_GOOGLE = re.compile(r"v1(?:beta)?/models/(.+):([A-Za-z]+)")
_SESSION = re.compile(r"/v3/session/([^/]+)((?:/[^/:]+:[^/]*)*)/(.+)")
_KEYLESS = ("/health", "/v3/models")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as the API sees it: the path decoded, and whether a key came (None) or is good."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes = field(repr=False)
    key: bool | None = None


_Operation = Callable[[Arrived], tuple[Answer, Ask | None]]


class Api:
    """Answers requests; holds the catalogue and the scenarios in force."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.scenarios: list[Scenario] = []

    def answer(self, arrived: Arrived) -> tuple[Answer, Ask | None]:
        """The answer, and what was asked where the request asked for a turn."""
        family, operation = self._find(arrived.method, arrived.path)
        if operation is None:
            return unknown_path(), None
        if arrived.path not in _KEYLESS and not arrived.key:
            return (no_key() if arrived.key is None else bad_key()), None
        try:
            return operation(arrived)
        except Refused as refused:
            return refusal(family, refused), None
        except (TypeError, AttributeError, KeyError, ValueError):
            return refusal(family, Refused(400, "the request body cannot be used")), None

    def _find(self, method: str, path: str) -> tuple[str, _Operation | None]:
        """The family that words refusals, and the operation; None for a path that the API lacks."""
        native = {
            ("GET", "/health"): self._health, ("GET", "/v3/models"): self._models,
            ("POST", "/v3/images"): self._images, ("GET", "/v3/images/models"): self._image_models,
        }  # fmt: skip
        if (method, path) in native:
            return "native", native[method, path]
        if (session := _SESSION.fullmatch(path)) is not None:
            return self._compat(method, session[3]) if session[1].startswith("sess_") else ("", _bad_session)
        if path.startswith("/v3/compat/"):
            return self._compat(method, path.removeprefix("/v3/compat/"))
        return "native", None

    def _compat(self, method: str, native: str) -> tuple[str, _Operation | None]:
        found = {
            ("POST", "chat/completions"): ("openai", self._chat),
            ("POST", "responses"): ("openai", self._responses),
            ("POST", "openresponses"): ("openai", self._responses),
            ("POST", "embeddings"): ("openai", self._embeddings),
            ("GET", "models"): ("openai", self._compat_models),
            ("GET", "v1/models"): ("anthropic", self._compat_models),
            ("POST", "v1/messages"): ("anthropic", self._messages),
            ("POST", "v1beta/interactions"): ("google", self._interactions),
            ("POST", "v1/interactions"): ("google", self._interactions),
        }.get((method, native))
        if found is not None:
            return found
        google = _GOOGLE.fullmatch(native)
        if method != "POST" or google is None:
            return "native", None
        return "google", lambda arrived: self._google(arrived, google[1], google[2])

    # -- turns ---------------------------------------------------------------------------------------

    def _turn(self, ask: Ask) -> tuple[Turn, Served]:
        # What compat chat does with an image row is not documented; answering leaves the verdict to callers.
        row = self.rows.resolve(ask.body.get("model", ask.model) or ask.model, ("llm", "image"))
        turn = (
            marked_turn(ask)
            or next((found for each in self.scenarios if (found := each.turn(ask)) is not None), None)
            or default_turn()
        )
        return turn, Served(row, max(1, ask.size // 4), turn.tokens)

    def _chat(self, arrived: Arrived) -> tuple[Answer, Ask]:
        ask = openai_chat.read(_json(arrived.body), len(arrived.body))
        turn, served = self._turn(ask)
        return openai_chat.answer(ask, turn, served, _identity(), _seconds()), ask

    def _responses(self, arrived: Arrived) -> tuple[Answer, Ask]:
        ask = openai_responses.read(_json(arrived.body), len(arrived.body))
        turn, served = self._turn(ask)
        return openai_responses.answer(ask, turn, served, _identity(), _seconds()), ask

    def _messages(self, arrived: Arrived) -> tuple[Answer, Ask]:
        ask = anthropic_messages.read(_json(arrived.body), len(arrived.body))
        turn, served = self._turn(ask)
        return anthropic_messages.answer(ask, turn, served, _identity()), ask

    def _interactions(self, arrived: Arrived) -> tuple[Answer, Ask]:
        ask = google_interactions.read(_json(arrived.body), len(arrived.body))
        turn, served = self._turn(ask)
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return google_interactions.answer(ask, turn, served, _identity(), created), ask

    def _google(self, arrived: Arrived, model: str, operation: str) -> tuple[Answer, Ask | None]:
        body = _json(arrived.body)
        if operation in ("embedContent", "batchEmbedContents"):
            row = self.rows.resolve(model, ("embedding",))
            served = Served(row, max(1, len(arrived.body) // 4), 0)
            return google_models.embed(body, served, batch=operation.startswith("batch")), None
        if operation not in ("generateContent", "streamGenerateContent"):
            return unknown_path(), None
        streamed = operation == "streamGenerateContent"
        ask = google_models.read(model, body, len(arrived.body), streamed=streamed)
        turn, served = self._turn(ask)
        sse = arrived.query.get("alt") == "sse"
        return google_models.answer(ask, turn, served, _identity(), sse=sse), ask

    # -- the rest ------------------------------------------------------------------------------------

    def _embeddings(self, arrived: Arrived) -> tuple[Answer, None]:
        body = _json(arrived.body)
        row = self.rows.resolve(body.get("model"), ("embedding",))
        return openai_chat.embeddings(body, Served(row, max(1, len(arrived.body) // 4), 0)), None

    def _images(self, arrived: Arrived) -> tuple[Answer, Ask]:
        body = _json(arrived.body)
        number = images.count(body)
        served = Served(self.rows.resolve(body.get("model"), ("image",)), 0, 0, number)
        ask = Ask(str(body.get("model")), str(body["prompt"]), False, body, size=len(arrived.body))
        return images.answer(body, served, _identity(), _seconds()), ask

    def _health(self, arrived: Arrived) -> tuple[Answer, None]:
        return plain({"status": "ok"}), None

    def _models(self, arrived: Arrived) -> tuple[Answer, None]:
        return plain(self.rows.listing(arrived.query, keyed=bool(arrived.key))), None

    def _image_models(self, arrived: Arrived) -> tuple[Answer, None]:
        query = {**arrived.query, "type": "image"}
        return plain(self.rows.listing(query, keyed=True)), None

    def _compat_models(self, arrived: Arrived) -> tuple[Answer, None]:
        """One list that both OpenAI's and Anthropic's clients read."""
        data = [_listed(row) for row in self.rows.chat_and_embedding()]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
        return plain({"object": "list", "data": data, "has_more": False, **ends}), None


def _listed(row: Body) -> Body:
    per_token = {"prompt": "input", "completion": "output"}
    pricing = row.get("pricing") or {}
    return {
        "id": row["id"], "object": "model", "created": 1_780_000_000, "owned_by": row["provider"],
        "type": "model", "display_name": row.get("name") or row["id"], "created_at": "2026-05-28T00:00:00Z",
        "context_length": row.get("context_window"),
        "pricing": {name: f"{(pricing.get(ours) or [0])[0] / 1e6:.10f}" for name, ours in per_token.items()},
        "opper": {"region": row.get("region"), "country": row.get("country")},
    }  # fmt: skip


def _bad_session(arrived: Arrived) -> tuple[Answer, None]:
    return plain({"error": "invalid session id"}, status=400), None


def _json(body: bytes) -> Body:
    try:
        read = jiter.from_json(body)
    except ValueError:
        raise Refused(400, "the request body is not valid JSON") from None
    if not isinstance(read, dict):
        raise Refused(400, "the request body must be a JSON object")
    return read


def _identity() -> str:
    return secrets.token_hex(12)


def _seconds() -> int:
    return int(datetime.now(UTC).timestamp())
