"""what one key, project or organisation has spent, by month

An answer may end in the month after the one in which its request came, and a clock may step: each month
has an account of its own, so that none can empty another. Amounts are millionths of a US dollar, months
`YYYY-MM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

MOST_MONTHS: Final = 4


def month_of(at: datetime) -> str:
    """The month whose budget counts at an instant."""
    return f"{at.year}-{at.month:02d}"


@dataclass(slots=True)
class Month:
    """One month's account: spent by this worker, by the others, and whether that was alerted to."""

    own: int = 0
    elsewhere: int = 0
    alerted: bool = False

    @property
    def total(self) -> int:
        """What all workers have spent."""
        return self.own + self.elsewhere


class Months:
    """The accounts of the last few months that were asked for."""

    __slots__ = ("_accounts",)

    def __init__(self) -> None:
        self._accounts: dict[str, Month] = {}

    def of(self, month: str) -> Month:
        """The account of a month, empty at first."""
        account = self._accounts.get(month)
        if account is None:
            if len(self._accounts) >= MOST_MONTHS:
                del self._accounts[next(iter(self._accounts))]
            account = self._accounts[month] = Month()
        return account
