"""budgets and rate limits

Counted from what callers send and what replies report; times are monotonic seconds and months
`YYYY-MM`, both passed in. Workers that have `Shares` hold a limit together: what one takes, the others
see at their next look, so that at the very edge one request per other worker may get through, which the
bucket then owes. Streams never exceed their limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from proxy.core.values import Caller, Usage
from proxy.months import Months
from proxy.shares import REQUESTS, STREAMS, TOKENS, Shares, Tally

_MINUTE = 60.0
_NANO = 1_000_000_000
_ROUNDED = 1e-6
_MICRO = 1_000_000
_WORDS = {
    "requests": "requests per minute",
    "tokens": "tokens per minute",
    "streams": "streams at a time",
    "spend": "US dollars per month",
}


class Limit(Protocol):
    """What a key, project or organisation may use; None is no limit. `config.Limit` satisfies it."""

    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tokens_per_minute(self) -> int | None: ...
    @property
    def concurrent_streams(self) -> int | None: ...
    @property
    def monthly_spend_usd(self) -> float | None: ...
    @property
    def soft_alert(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit that is used up: which one, whose, and when to come back (whole seconds)."""

    what: str
    scope: str
    limit: int
    retry_after: int

    def sentence(self) -> str:
        """What is used up and when to come back, in words for the sender."""
        whose = self.scope.partition(":")[0]
        return (
            f"The limit of {self.limit} {_WORDS[self.what]} for this {whose} is used up. "
            f"Try again in {self.retry_after} s."
        )

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Rate-limit header fields in OpenAI's spelling."""
        kind = self.what
        return (
            (f"x-ratelimit-limit-{kind}", str(self.limit)),
            (f"x-ratelimit-remaining-{kind}", "0"),
            (f"x-ratelimit-reset-{kind}", f"{self.retry_after}s"),
        )


class Bucket:
    """A token bucket that holds one minute's allowance and may be overdrawn by what was learnt late."""

    __slots__ = ("_at", "_left", "_rate", "_seen", "_tally", "capacity")

    def __init__(self, capacity: int, now: float, tally: Tally | None = None) -> None:
        self.capacity = capacity
        self._rate = capacity / _MINUTE
        self._left = float(capacity)
        self._at = now
        self._tally = tally
        self._seen = 0 if tally is None else tally.others()

    def wait(self, now: float, need: float = 1.0) -> float:
        """Seconds until `need` is there; 0.0 when it is now."""
        left = self._left + (now - self._at) * self._rate
        if self._tally is not None:
            left = self._with_others(self._tally, left, now)
        self._left = min(self.capacity, left)
        self._at = now
        return max(0.0, (min(need, self.capacity) - self._left) / self._rate)

    def take(self, amount: int) -> None:
        """Use some up."""
        self._left -= amount
        if self._tally is not None:
            self._tally.add(amount)
            full_at = self._at + (self.capacity - self._left) / self._rate
            self._tally.say_full_at(int(full_at * _NANO))

    def _with_others(self, tally: Tally, left: float, now: float) -> float:
        """What is left when the other workers' use is counted too.

        Late looks let a bucket overflow that was not full, so the least that any worker sees is believed.
        """
        others = tally.others()
        left, self._seen = left - (others - self._seen), others
        until_full = tally.said_full_at() / _NANO - _ROUNDED - now
        return min(left, self.capacity - until_full * self._rate)


@dataclass(slots=True)
class Meter:
    """What one key, project or organisation has used."""

    scope: str
    limit: Limit
    requests: Bucket | None
    tokens: Bucket | None
    streams: int = 0
    open: Tally | None = None
    months: Months = field(default_factory=Months)

    def refuses(self, now: float, month: str) -> Limited | None:
        """The first limit that is used up, or None."""
        for what, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None and (wait := bucket.wait(now)) > 0:
                return Limited(what, self.scope, bucket.capacity, math.ceil(wait))
        budget = self.limit.monthly_spend_usd
        if budget is not None and self.months.of(month).total >= budget * _MICRO:
            return Limited("spend", self.scope, int(budget), 3600)
        return None

    def open_stream(self) -> Limited | None:
        """Count one more stream; or name the limit on them when that is one too many, and count none.

        Counted first and looked at then: of two workers that take the last place at once, one sees the other.
        """
        self._count_streams(1)
        others = 0 if self.open is None else self.open.others()
        most = self.limit.concurrent_streams
        if most is None or self.streams + others <= most:
            return None
        self._count_streams(-1)
        return Limited("streams", self.scope, most, 1)

    def close_stream(self) -> None:
        """Count one stream less."""
        self._count_streams(-1)

    def forget_streams(self) -> None:
        """Count no stream of this worker's."""
        self.streams = 0
        if self.open is not None:
            self.open.clear()

    def _count_streams(self, more: int) -> None:
        self.streams += more
        if self.open is not None:
            self.open.add(more)

    def charge(self, usage: Usage, month: str) -> bool:
        """Add what a reply reported; True when this crosses the soft alert."""
        if self.tokens is not None:
            self.tokens.take((usage.tokens_in or 0) + (usage.tokens_out or 0))
        account = self.months.of(month)
        account.own += usage.cost_microusd or 0
        budget = self.limit.monthly_spend_usd
        if budget is None or account.alerted or account.total < budget * _MICRO * self.limit.soft_alert:
            return False
        account.alerted = True
        return True


@dataclass(slots=True)
class Lease:
    """The right to one request; settle it exactly once."""

    meters: tuple[Meter, ...]
    streams: bool = False
    _open: bool = field(default=True)

    def begin_stream(self) -> Limited | None:
        """Count an open stream, or name the limit that stands in its way."""
        for number, meter in enumerate(self.meters):
            if limited := meter.open_stream():
                for counted in self.meters[:number]:
                    counted.close_stream()
                return limited
        self.streams = True
        return None

    def settle(self, usage: Usage, month: str) -> list[str]:
        """Give the stream back and charge the usage; the scopes whose soft alert this crossed."""
        if not self._open:
            return []
        self._open = False
        crossed: list[str] = []
        for meter in self.meters:
            if self.streams:
                meter.close_stream()
            if meter.charge(usage, month):
                crossed.append(meter.scope)
        return crossed


class Limits:
    """Every limit that is configured, by scope (`key:<id>`, `project:<name>`, `organisation:<name>`).

    `shares` makes them hold for several workers together.
    """

    def __init__(self, limits: Mapping[str, Limit], shares: Shares | None = None) -> None:
        self._limits = limits
        self._shares = shares
        self._meters: dict[str, Meter] = {}
        for scope in limits if shares is not None else ():
            # The worker of this name before this one had streams that ended with it.
            self._meter(scope, 0.0).forget_streams()

    def admit(self, caller: Caller, now: float, month: str) -> Lease | Limited:
        """A lease for one request, or the limit that stands in its way. Nothing is used up by a no."""
        meters = tuple(self._of(caller, now)) if self._limits else ()
        for meter in meters:
            if limited := meter.refuses(now, month):
                return limited
        for meter in meters:
            if meter.requests is not None:
                meter.requests.take(1)
        return Lease(meters)

    def restore(self, scope: str, month: str, spent_microusd: int) -> None:
        """Take over what this worker spent before it was started anew."""
        if scope in self._limits:
            self._meter(scope, 0.0).months.of(month).own += spent_microusd

    def elsewhere(self, month: str, spent_microusd: Mapping[str, int]) -> None:
        """Learn what the other workers have spent, by scope."""
        for scope in self._limits:
            self._meter(scope, 0.0).months.of(month).elsewhere = spent_microusd.get(scope, 0)

    def spent(self, month: str) -> dict[str, int]:
        """What this worker has spent in a month, by scope, in millionths of a US dollar."""
        return {scope: meter.months.of(month).own for scope, meter in self._meters.items()}

    def _of(self, caller: Caller, now: float) -> Iterator[Meter]:
        names = (f"key:{caller.key_id}", f"project:{caller.project}", f"organisation:{caller.organisation}")
        for name in names:
            if name in self._limits:
                yield self._meter(name, now)

    def _meter(self, scope: str, now: float) -> Meter:
        if scope not in self._meters:
            limit = self._limits[scope]
            self._meters[scope] = Meter(
                scope,
                limit,
                self._bucket(scope, REQUESTS, limit.requests_per_minute, now),
                self._bucket(scope, TOKENS, limit.tokens_per_minute, now),
                open=self._tally(scope, STREAMS),
            )
        return self._meters[scope]

    def _bucket(self, scope: str, kind: int, capacity: int | None, now: float) -> Bucket | None:
        return None if capacity is None else Bucket(capacity, now, self._tally(scope, kind))

    def _tally(self, scope: str, kind: int) -> Tally | None:
        return None if self._shares is None else self._shares.tally(scope, kind)
