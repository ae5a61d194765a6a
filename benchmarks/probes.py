"""what a full proxy must still do: answer the platform's health checks, and every SDK in its own words"""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import orjson

HEALTH = ("/healthz", "/readyz", "/metrics")
_EVERY = 0.25
_PATIENCE = 5.0
_SHAPES = {
    "openai": ("/v1/responses", {}, "code", "overloaded"),
    "anthropic": ("/v1/messages", {"anthropic-version": "2023-06-01"}, "type", "api_error"),
    "google": ("/v1beta/models/any:generateContent", {"x-goog-api-key": "k"}, "status", "UNAVAILABLE"),
}


@dataclass(slots=True)
class Probes:
    """Asks again and again, in a thread of its own, from entering the `with` block to leaving it."""

    port: int
    admin_port: int
    seconds: list[float] = field(default_factory=list)
    shapes: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            for path in HEALTH:
                self._check_health(path)
            for dialect in _SHAPES:
                self._check_shape(dialect)

    def _check_health(self, path: str) -> None:
        begin = time.monotonic()
        try:
            status, _, _ = _ask(self.admin_port, "GET", path, {})
        except OSError as error:
            self.complaints.append(f"{path} did not answer: {type(error).__name__}")
            return
        self.seconds.append(time.monotonic() - begin)
        if status != 200:
            self.complaints.append(f"{path} answered {status}")

    def _check_shape(self, dialect: str) -> None:
        """Send a request that some SDK would send; only when it is shed, its words count."""
        path, signs, member, word = _SHAPES[dialect]
        try:
            status, headers, body = _ask(self.port, "POST", path, signs)
        except OSError as error:
            self.complaints.append(f"{path} did not answer: {type(error).__name__}")
            return
        if status != 503:
            return
        self.shapes.add(dialect)
        said = orjson.loads(body)["error"]
        if headers.get("x-ringfence-refusal") != "overloaded" or not headers.get("retry-after", "").isdigit():
            self.complaints.append(f"{path} was shed without its headers")
        if said.get(member) != word:
            self.complaints.append(f"{path} was shed in another SDK's words")


def _ask(
    port: int, method: str, path: str, headers: dict[str, str]
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(type(error).__name__) from error
    finally:
        connection.close()
