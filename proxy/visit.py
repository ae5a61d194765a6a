"""one request's way through the pipeline: what is known of it so far"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proxy.core.values import Call, Caller, Decision, Match, RawRequest
from proxy.limits import Lease, Limited
from proxy.revision import Revision


@dataclass(slots=True)
class Visit:
    """The notebook of one request; each step of the pipeline writes down what it found out.

    `revision` is the only one that this request is judged by. `started`, `sent_at` and `first_byte`
    are monotonic, in seconds, 0.0 for what has not happened. `waiting` lasts until it is sent or answered;
    `probes` tells that it goes to see whether a gateway that was left alone is back.
    `in_mac` and `out_mac` commit to the body that came and to another one that leaves instead.
    """

    rid: str
    raw: RawRequest
    revision: Revision
    at: datetime
    started: float
    match: Match | None = None
    caller: Caller | None = None
    limited: Limited | None = None
    lease: Lease | None = None
    call: Call | None = None
    decision: Decision | None = None
    in_mac: str = ""
    out_mac: str = ""
    sent_at: float = 0.0
    first_byte: float = 0.0
    waiting: bool = False
    probes: bool = False
