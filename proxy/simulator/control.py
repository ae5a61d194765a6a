"""the control API of the simulator: witness, faults, lockstep, rows, scenarios

`GET requests[?since=N&wait=N]`, `DELETE requests`, `GET|POST|DELETE faults`, `POST release`,
`POST lockstep {"on": true}`, `POST confirm {"event": 1, "stream": ""}`, `GET lockstep[?stream=]`,
`POST rows {"ID": {...} | null}`, `DELETE rows`, `POST|DELETE scenarios`, `POST pace {"ms": 20}`,
`GET health`; each under `/_simulator/`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from proxy.simulator.answers import Answer, plain
from proxy.simulator.faults import KINDS, PRESETS, read_fault
from proxy.simulator.scenario import read_scenario

if TYPE_CHECKING:
    from proxy.simulator.server import Simulator

PREFIX = "/_simulator/"


class Control:
    """Answers control requests for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Do what a control request says; 400 with a sentence when it cannot be understood."""
        operations: dict[tuple[str, str], Callable[[dict[str, str], Any], Awaitable[Any]]] = {
            ("GET", "health"): self._health,
            ("GET", "requests"): self._requests, ("DELETE", "requests"): self._forget,
            ("GET", "faults"): self._faults, ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults, ("POST", "release"): self._release,
            ("GET", "lockstep"): self._lockstep, ("POST", "lockstep"): self._set_lockstep,
            ("POST", "confirm"): self._confirm, ("POST", "pace"): self._pace,
            ("POST", "rows"): self._patch_rows, ("DELETE", "rows"): self._reset_rows,
            ("POST", "scenarios"): self._add_scenario, ("DELETE", "scenarios"): self._clear_scenarios,
        }  # fmt: skip
        operation = operations.get((method, path.removeprefix(PREFIX)))
        if operation is None:
            known = sorted(f"{each} {PREFIX}{name}" for each, name in operations)
            return plain({"error": "unknown control request", "known": known}, status=404)
        try:
            return plain(await operation(query, orjson.loads(body) if body else {}))
        except (ValueError, TypeError, KeyError) as error:
            return plain({"error": str(error)}, status=400)

    async def _health(self, query: dict[str, str], body: Any) -> Any:
        return {"ok": True, "base_url": self._simulator.base_url}

    async def _requests(self, query: dict[str, str], body: Any) -> Any:
        witness = self._simulator.witness
        if "wait" in query:
            await witness.wait(int(query["wait"]), moment=query.get("moment", "whole_ns"))
        return {"requests": [each.to_dict() for each in witness.since(int(query.get("since", 0)))]}

    async def _forget(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.witness.clear()
        return {"ok": True}

    async def _faults(self, query: dict[str, str], body: Any) -> Any:
        planned = [asdict(each) for each in self._simulator.faults.planned]
        return {"planned": planned, "kinds": KINDS, "presets": list(PRESETS)}

    async def _add_fault(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.faults.add(read_fault(body))
        return {"ok": True}

    async def _clear_faults(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.faults.clear()
        return {"ok": True}

    async def _release(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.faults.release()
        return {"ok": True}

    async def _lockstep(self, query: dict[str, str], body: Any) -> Any:
        lockstep = self._simulator.lockstep
        return {"on": lockstep.on, "sent": lockstep.sent(query.get("stream", ""))}

    async def _set_lockstep(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.lockstep.on = body["on"] is True
        return {"ok": True}

    async def _confirm(self, query: dict[str, str], body: Any) -> Any:
        await self._simulator.lockstep.confirm(int(body["event"]), str(body.get("stream", "")))
        return {"ok": True}

    async def _pace(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.pace_ms = float(body["ms"])
        return {"ok": True}

    async def _patch_rows(self, query: dict[str, str], body: Any) -> Any:
        for identity, change in dict(body).items():
            self._simulator.rows.patch(identity, change)
        return {"rows": len(self._simulator.rows.rows)}

    async def _reset_rows(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.rows.reset()
        return {"rows": len(self._simulator.rows.rows)}

    async def _add_scenario(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.scenarios.append(read_scenario(body))
        return {"ok": True}

    async def _clear_scenarios(self, query: dict[str, str], body: Any) -> Any:
        self._simulator.scenarios.clear()
        return {"ok": True}
