"""checks a set-up before and while it serves, and says what to do about what it finds"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from proxy.config import Settings
from proxy.doctor.files import file_checks
from proxy.doctor.finding import Finding, State, examined
from proxy.doctor.machine import machine_checks
from proxy.doctor.upstream import upstream_findings

__all__ = ["Finding", "State", "examine"]


async def examine(
    settings: Settings, environ: Mapping[str, str], *, at: datetime, offline: bool = False
) -> list[Finding]:
    """Everything that can be found out about a set-up; nothing is changed but for a scratch folder.

    `offline` leaves the gateway alone.
    """
    found = [each for check in (*file_checks(settings, environ, at), *machine_checks(settings))
             for each in examined(check)]  # fmt: skip
    return found if offline else [*found, *await upstream_findings(settings, environ, at=at)]
