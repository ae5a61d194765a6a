"""an answer on its way back: each chunk as it comes, observed and never delayed"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from proxy.core.errors import UpstreamFailure
from proxy.core.scrub import Scrubber
from proxy.core.tap import EventTap, Tap
from proxy.core.values import Headers, Usage
from proxy.gateway import UpstreamReply
from proxy.uplink import Take


@dataclass(frozen=True, slots=True)
class Ending:
    """How a relayed answer ended. `end` is a word of the outcome record, `bytes` counts the body."""

    end: str
    bytes: int
    usage: Usage


class Relay:
    """An upstream answer and what has to be learnt from it. Pour it to the end or abandon it."""

    __slots__ = ("_bytes", "_on_end", "_reply", "_scrubber", "_tap", "headers", "status")

    def __init__(
        self,
        reply: UpstreamReply,
        headers: Headers,
        *,
        tap: Tap,
        scrubber: Scrubber,
        on_end: Callable[[Ending], None],
    ) -> None:
        self.status = reply.status
        self.headers = headers
        self._reply = reply
        self._tap = tap
        self._scrubber = scrubber
        self._on_end: Callable[[Ending], None] | None = on_end
        self._bytes = 0

    @property
    def counted(self) -> bool:
        """Whether the headers say how long the body is."""
        return self._reply.length is not None

    @property
    def whole(self) -> bool:
        """Whether all of the answer is there, so that pouring it does not wait."""
        return self._reply.whole

    async def pour(self, take: Take, drained: Callable[[], Awaitable[None]]) -> None:
        """Give each chunk for the client to `take` as it comes, to the end; as `Uplink.pour`.

        `UpstreamFailure` when the gateway broke off. What `take` raises is raised; then abandon the relay.
        """
        try:
            await self._reply.pour(partial(self._pass, take), drained)
            last = self._finish()
        except UpstreamFailure as failure:
            self._end("timeout" if failure.code == "upstream_timeout" else "upstream_reset")
            raise
        except ConnectionError:
            # The client's end, not the gateway's: whoever writes to it knows why it is gone.
            raise
        except Exception:
            self.abandon("proxy_fault")
            raise
        if last:
            take(last)

    def _pass(self, take: Take, chunk: bytes) -> bool:
        self._bytes += len(chunk)
        self._tap.feed(chunk)
        passed = self._scrubber.feed(chunk)
        return take(passed) if passed else True

    def abandon(self, end: str) -> None:
        """Nobody reads on: stop the gateway at once, and say why with a word of the outcome record.

        Some SDKs leave when the protocol's end has come, before the connection's: they have all that they
        were owed.
        """
        has_all = end == "client_gone" and isinstance(self._tap, EventTap) and self._tap.complete
        self._end("complete" if has_all else end)
        self._reply.close()

    def _finish(self) -> bytes:
        """The end, and what was held back until now.

        A stream that only a closed connection ended must have said that it is over: a crash looks alike.
        """
        usage = self._usage() if self._on_end else Usage()
        if self._reply.ends_by_closing and isinstance(self._tap, EventTap) and not self._tap.complete:
            raise UpstreamFailure("upstream_broke_off", sent=True)
        self._end("complete", usage)
        return self._scrubber.finish()

    def _end(self, end: str, usage: Usage | None = None) -> None:
        report, self._on_end = self._on_end, None
        if report is not None:
            report(Ending(end, self._bytes, usage or self._usage()))

    def _usage(self) -> Usage:
        """What the tap has learnt; a tap that fails must not cost the outcome its record."""
        try:
            return self._tap.finish()
        except Exception:
            return Usage()
