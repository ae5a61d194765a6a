"""the replies that the proxy makes itself: refusals and lists, with headers that tell ours apart"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from proxy.core.reasons import reason
from proxy.core.values import Json, Refusal, Reply

DECISION_HEADER = "x-ringfence-decision-id"
REFUSAL_HEADER = "x-ringfence-refusal"
"""Stands in every refusal of ours and in none of the gateway's: its value is the reason code."""

_DEFAULT_WAIT = 2


def json_reply(status: int, body: Json, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A JSON answer of the proxy's own."""
    return Reply(status, (("content-type", "application/json"), *headers), orjson.dumps(body))


def refusal_reply(refusal: Refusal, body: Json) -> Reply:
    """A refusal with the headers that tell ours from the gateway's and stop pointless retries."""
    retry = reason(refusal.code).retry and refusal.status in (408, 429, 502, 503, 504)
    headers = [(REFUSAL_HEADER, refusal.code), ("x-should-retry", "true" if retry else "false")]
    if refusal.decision_id:
        headers.append((DECISION_HEADER, refusal.decision_id))
    wait = refusal.retry_after
    if wait is None and retry and refusal.status in (429, 503):
        wait = _DEFAULT_WAIT
    if wait is not None:
        headers.append(("retry-after", str(wait)))
    return json_reply(refusal.status, body, headers)


def extension(refusal: Refusal) -> dict[str, Json]:
    """What every refusal says beyond its SDK's own shape."""
    return {
        "decision_id": refusal.decision_id,
        "remedies": list(refusal.remedies),
        "compliant_routes": list(refusal.alternatives),
    }
