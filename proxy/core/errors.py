"""the exception tree, drawn at the top of the file

RingfenceError
├── Unreadable          a request that has no single reading; `code` and `param` for its sender
├── Mistake             a file of the operator's that cannot be taken as written; file, line, column
├── Mistakes            every such mistake of one file or set of files, in the order in which they stand
├── UpstreamFailure     the gateway could not be reached or broke off; `code` from the reasons table
├── JournalUnavailable  a record could not be made durable; nothing may be forwarded
├── Untrusted           evidence that does not hold: a note, a signature, a proof
├── Misread             a policy's value that a dimension cannot parse; becomes a Mistake with its place
└── NotApproved         something asked to be forwarded that no decision allows

A denial is a value (`Decision`, `Refusal`), never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from typing_extensions import override


class RingfenceError(Exception):
    """Base of every error that the product raises on purpose."""


class Unreadable(RingfenceError):
    """A request that cannot be read in exactly one way.

    `detail` is for the sender only: it may name the sender's own member and is never logged.
    """

    def __init__(self, code: str, detail: str, *, param: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.param = param


class Mistake(RingfenceError):
    """Something an operator wrote that cannot be accepted. Lines and columns count from 1."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        return place + self.message


class Mistakes(ExceptionGroup[Mistake], RingfenceError):
    """Every mistake found in what an operator wrote, at once, by file, line and column."""

    found: tuple[Mistake, ...]

    def __new__(cls, found: Iterable[Mistake]) -> Self:
        """Build the group; it must hold at least one mistake."""
        ordered = sorted(found, key=lambda mistake: (mistake.file, mistake.line, mistake.column))
        group = super().__new__(cls, "cannot be taken as written", ordered)
        group.found = tuple(ordered)
        return group

    @override
    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.found)


class UpstreamFailure(RingfenceError):
    """The gateway could not be used. `code` is a reason code; `sent` tells whether any byte left."""

    def __init__(self, code: str, *, sent: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent


class JournalUnavailable(RingfenceError):
    """The audit log cannot take a record now; the request must be refused with 503."""


class Untrusted(RingfenceError):
    """A note, signature, key or proof that is malformed or not by whom it should be."""
