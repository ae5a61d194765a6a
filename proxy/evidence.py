"""what each step of a request leaves in the audit log"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass

from proxy.core.catalog import Catalogue, diff
from proxy.core.confirm import Confirmation
from proxy.core.record import Ended, Judged, Recorder, Seen, Sent, catalog_load, policy_load, reject
from proxy.core.values import Receipt, RouteId, UpstreamRequest, Usage
from proxy.journal import Clock, Journal
from proxy.logs import describe, logger
from proxy.revisions import Reload
from proxy.traces import Traces
from proxy.visit import Visit

NO_USAGE = Usage()


@dataclass(slots=True)
class Served:
    """What came back, as far as it is known; filled in until the attempt ends."""

    end: str
    status: int | None = None
    up_status: int | None = None
    model: str = ""
    provider: str = ""
    confirmation: Confirmation | None = None
    usage: Usage = NO_USAGE
    bytes: int | None = None


class Evidence:
    """Builds records and hands them to the journal.

    `host` is the gateway's authority, `most_waiting` how many records may wait for the disk. `traces`, when
    there are any, hear of what was recorded.
    """

    traces: Traces | None = None

    def __init__(
        self, journal: Journal, recorder: Recorder, clock: Clock, *, host: str, most_waiting: int
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._host = host
        self._most_waiting = most_waiting

    def overload(self) -> str | None:
        """The reason not to take one more request: a log that cannot be written, or that lags behind."""
        if not self._journal.healthy:
            return "audit_unavailable"
        return "overloaded" if self._journal.pending >= self._most_waiting else None

    def fault(self, error: object) -> None:
        """Log an error of our own by its class and place."""
        logger().error("proxy_fault", **describe(error if isinstance(error, BaseException) else None))

    def spend_alert(self, scope: str) -> None:
        """Say that a monthly budget is nearly used up."""
        logger().warning("spend_alert", scope=scope)

    def commit_to(self, body: bytes) -> str:
        """The keyed commitment to a body, "" to an empty one."""
        return self._recorder.pseudonyms.body(body) if body else ""

    def intent(
        self, visit: Visit, request: UpstreamRequest, *, model: str, also: tuple[RouteId, ...] = ()
    ) -> Awaitable[Receipt]:
        """Make the intent durable; `JournalUnavailable` when that cannot be had.

        `also` are the approved routes that may serve besides the decision's own.
        """
        same = request.body is visit.raw.body
        mac = visit.in_mac if same else visit.out_mac or self.commit_to(request.body)
        sent = Sent(len(request.body), mac, model, self._host, also)
        stamp = self._clock.stamp()
        draft = self._recorder.intent(_judged(visit), self._seen(visit), sent=sent, stamp=stamp)
        return self._journal.append(draft)

    async def refusal(self, visit: Visit, code: str) -> Receipt:
        """Make a refusal durable; `JournalUnavailable` when that cannot be had."""
        stamp = self._clock.stamp()
        draft = self._recorder.refusal(_judged(visit), self._seen(visit), reason=code, stamp=stamp)
        if self.traces is not None:
            self.traces.refused(visit, code)
        return await self._journal.append(draft)

    def reject(self, code: str, *, peer: str = "", size: int | None = None) -> None:
        """Note input by nobody that we know; best effort."""
        pseudonym = self._recorder.pseudonyms.person(peer) if peer else ""
        self._journal.note(reject(self._clock.stamp(), code, peer=pseudonym, in_len=size))

    def shed(self, amount: int) -> None:
        """Count requests that were shed: one record tells how many."""
        self._journal.tally("overloaded", amount)

    def outcome(self, visit: Visit, served: Served) -> None:
        """Hand over how a forwarded request ended; the journal keeps it until it is durable."""
        started, first_byte, confirmation = visit.started, visit.first_byte, served.confirmation
        # By place: naming each of so many costs as much as building the record's own part.
        ended = Ended(
            visit.rid,
            served.end,
            1,
            visit.caller.project if visit.caller is not None else "",
            served.status,
            served.up_status,
            served.model,
            served.provider,
            confirmation.verdict.value if confirmation is not None else "",
            served.usage,
            _micros(first_byte - started) if first_byte else None,
            _micros(time.monotonic() - started),
            served.bytes,
        )
        if self.traces is not None:
            self.traces.forwarded(visit, ended)
        known = visit.revision.grounds.known
        self._journal.submit(self._recorder.outcome(ended, known=known, stamp=self._clock.stamp()))

    def loaded(self, reload: Reload) -> None:
        """Record what decisions rest on from now on, or that a change to it could not be taken."""
        revision, before = reload.revision, reload.before
        refs = [policy.ref for policy in revision.policies]
        reason = "unreadable_files" if reload.mistakes else ""
        mistakes = len(reload.mistakes)
        stamp = self._clock.stamp()
        self._journal.submit(
            policy_load(stamp, refs, revision=revision.digest, reason=reason, mistakes=mistakes)
        )
        catalogue = revision.catalogue
        if before is None or before.catalogue.digest != catalogue.digest:
            age = max(0, int((stamp.at - catalogue.fetched_at).total_seconds()))
            counts = _counts(before.catalogue, catalogue) if before else None
            self._journal.submit(
                catalog_load(
                    self._clock.stamp(),
                    digest=catalogue.digest,
                    age_s=age,
                    routes=len(catalogue.routes),
                    changes=counts,
                    revision=revision.digest,
                )
            )

    def _seen(self, visit: Visit) -> Seen:
        raw, match = visit.raw, visit.match
        trace, span = _trace(raw.fields.first.get(b"traceparent", b""))
        return Seen(
            visit.rid,
            raw.method,
            len(raw.body),
            visit.in_mac,
            match.endpoint.template if match is not None else "",
            self._recorder.pseudonyms.person(raw.peer) if raw.peer else "",
            "",
            trace,
            span,
            match.translation if match is not None else "",
        )


def _counts(old: Catalogue, new: Catalogue) -> dict[str, int]:
    changes = diff(old, new)
    sides = {"worse": changes.worse, "better": changes.better, "gone": changes.gone, "new": changes.new}
    return {side: len(found) for side, found in sides.items()}


def _judged(visit: Visit) -> Judged:
    return Judged(visit.revision.grounds, visit.caller, visit.call, visit.decision)


def _micros(seconds: float) -> int:
    return max(0, int(seconds * 1_000_000))


def _trace(value: bytes) -> tuple[str, str]:
    """Trace and parent id of a `traceparent` (W3C Trace Context); anything else reads as none."""
    parts = value.decode("latin-1").split("-")
    return (parts[1], parts[2]) if len(parts) == 4 else ("", "")
