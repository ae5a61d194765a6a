"""the simulated catalogue: real rows as they were sourced, fictional ones, and who serves a name"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import orjson

from proxy.simulator.answers import Refused
from proxy.simulator.examples import example_rows

Row = dict[str, Any]
_LISTED = ("llm", "embedding")
_PAGE = 100
_KEPT_ASIDE = ("sources", "seen_on", "notes", "labels", "route")


@dataclass(frozen=True, slots=True)
class Served:
    """A row that answers a call, and what the answer costs."""

    row: Row
    tokens_in: int
    tokens_out: int
    images: int = 0

    @property
    def cost(self) -> float:
        """USD, by the row's base prices; 0 where the row states none."""
        pricing = self.row.get("pricing") or {}
        per_token = (self.tokens_in * _first(pricing.get("input"))
                     + self.tokens_out * _first(pricing.get("output")))  # fmt: skip
        return round(per_token / 1e6 + self.images * float(pricing.get("price_per_generation") or 0), 9)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What Opper says about who served: the provider's slug and its own id of the model."""
        slug, _, own = str(self.row["id"]).partition("/")
        return (("x-opper-served-model", own), ("x-opper-served-provider", slug),
                ("x-opper-served-service-tier", "standard"))  # fmt: skip


class Rows:
    """The rows in force; tests may patch, remove and reset them."""

    def __init__(self, *, verified_at: datetime | None = None) -> None:
        checked = verified_at or datetime.now(UTC) - timedelta(days=1)
        self._original = _snapshot() + example_rows(checked.isoformat(timespec="seconds"))
        self._turn = 0
        self.rows: list[Row] = []
        self.reset()

    def reset(self) -> None:
        """Back to the rows of the start."""
        self.rows = copy.deepcopy(self._original)

    def patch(self, identity: str, change: Row | None) -> None:
        """Merge a change into a row, member by member and inwards; None removes the row."""
        found = next((row for row in self.rows if row["id"] == identity), None)
        if change is None:
            self.rows = [row for row in self.rows if row["id"] != identity]
        elif found is None:
            self.rows.append({"id": identity, **change})
        else:
            merged = copy.deepcopy(found)
            _merge(merged, change)
            self.rows[self.rows.index(found)] = merged

    def resolve(self, model: Any, kinds: tuple[str, ...]) -> Row:
        """The row that serves a name: a pin, an alias, or the next member of a pool in turn."""
        if isinstance(model, list):
            raise Refused(400, "json: cannot unmarshal array into Go struct field .model of type string")
        if not isinstance(model, str) or not model:
            raise Refused(400, "model is required")
        if model.startswith("dynamic/"):
            raise Refused(404, f"no deployed route named {model}",
                          headers=(("X-Opper-Route-Error", "route_not_found"),))  # fmt: skip
        members = [row for row in self.rows if row["id"] == model] or self._named(model)
        members = [row for row in members if row.get("type") in kinds]
        if not members:
            raise Refused(404, f'model "{model}" not found', code="model_not_found")
        self._turn += 1
        row = members[self._turn % len(members)]
        if row.get("access") == "restricted":
            raise Refused(403, f'model "{model}" needs an Enterprise agreement', code="entitlement_required")
        return row

    def listing(self, query: dict[str, str], *, keyed: bool) -> Row:
        """An answer of `GET /v3/models`. `include=route` and `include=policy` need a key."""
        include = set(query.get("include", "").split(","))
        rows = [row for row in self.rows if _matches(row, query)]
        offset, limit = _whole(query.get("offset"), 0), _whole(query.get("limit"), _PAGE)
        page = rows[offset:] if limit <= 0 else rows[offset : offset + limit]
        return {
            "models": [_as_listed(row, include if keyed else set()) for row in page],
            "total": len(rows), "offset": offset, "limit": limit,
        }  # fmt: skip

    def chat_and_embedding(self) -> list[Row]:
        """The rows of the compat model lists, by id."""
        rows = [row for row in self.rows if row.get("type") in _LISTED and not row.get("retired_at")]
        return sorted(rows, key=lambda row: str(row["id"]))

    def _named(self, name: str) -> list[Row]:
        pool = [row for row in self.rows if row.get("model") == name and row.get("pooled", True)]
        return pool or [row for row in self.rows if name in row.get("aliases", ())]


def _snapshot() -> list[Row]:
    text = (resources.files("proxy.tables") / "catalogue.json").read_bytes()
    return [row for row in orjson.loads(text)["models"] if row["id"]]


def _as_listed(row: Row, include: set[str]) -> Row:
    shown = {name: value for name, value in row.items() if name not in _KEPT_ASIDE}
    if "route" in include and "route" in row:
        shown["route"] = row["route"]
    if "policy" in include:
        shown["policy"] = (
            {"allowed": True} if row.get("access") != "restricted" else
            {"allowed": False, "blocked_by": "entitlement", "reason": "needs an Enterprise agreement"}
        )  # fmt: skip
    return shown


def _matches(row: Row, query: dict[str, str]) -> bool:
    wanted = {"type": row.get("type"), "provider": row.get("provider")}
    exact = all(query[name] == value for name, value in wanted.items() if name in query)
    return exact and query.get("q", "").lower() in f"{row['id']} {row.get('name', '')}".lower()


def _merge(row: Row, change: Row) -> None:
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(row.get(name), dict):
            _merge(row[name], value)
        elif value is None:
            row.pop(name, None)
        else:
            row[name] = value


def _whole(text: str | None, otherwise: int) -> int:
    try:
        return int(text) if text is not None else otherwise
    except ValueError:
        return otherwise


def _first(prices: Any) -> float:
    return float(prices[0]) if isinstance(prices, list) and prices else 0.0
