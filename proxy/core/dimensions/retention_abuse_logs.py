"""what abuse monitoring keeps: logs of requests and what moderation holds"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, KeepingDimension
from proxy.core.keeping import LOGGING, MODERATION, Kept, keeping, period_words, read_keeping
from proxy.core.rows import Row, Said, catalogued, has_zdr_facts, spoken, unstated, zdr_status
from proxy.core.values import Claim

_CONTRACT = "zero data retention only under an Enterprise contract"


class RetentionAbuseLogs(KeepingDimension):
    """How long logs and moderation keep content. Both pipelines count; the worse one decides."""

    name = "retention.abuse_logs"
    title = "retention in abuse logs"
    asks = "What may be kept in logs for abuse monitoring, and how long."
    bought_by = "zero_data_retention"
    words: ClassVar[Mapping[str, frozenset[str]]] = {
        "none": frozenset(["none"]),
        "flagged_only": frozenset(["none", "flagged"]),
    }
    examples = ("none", "flagged_only", {"at_most": "30d"}, "any")
    attestable = (
        Assertable(
            "zero_data_retention",
            "the provider keeps no content after the answer, by contract",
            {"kept": "none"},
        ),
        Assertable(
            "modified_abuse_monitoring",
            "the provider leaves content out of its abuse logs, by approval",
            {"kept": "none"},
        ),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read both pipelines; the older one-word status speaks only where tri-state facts do not."""
        logging = read_keeping(row, *LOGGING, fact="logging")
        moderation = read_keeping(row, *MODERATION, fact="moderation")
        found = (*logging.found, *moderation.found)
        status = zdr_status(row)
        worst = _worse(logging, moderation)
        if worst is not None:
            return _kept(worst, found, contract=status == "enterprise")
        if logging.kept == moderation.kept == "none":
            return catalogued(keeping("none"), "no abuse monitoring keeps content", found)
        doubtful = any(pipe.found and pipe.kept is None for pipe in (logging, moderation))
        if status == "always" and not doubtful and not has_zdr_facts(row):
            return catalogued(keeping("none"), "zero data retention always", ("zdr.status",))
        if status == "enterprise":
            return catalogued(keeping("unsaid", contract=True), _CONTRACT, ("zdr.status",))
        return unstated(_gap(logging, moderation, found))


def _worse(logging: Kept, moderation: Kept) -> Kept | None:
    kept = [pipe for pipe in (logging, moderation) if pipe.kept not in (None, "none")]
    if not kept:
        return None
    sort = "flagged" if all(pipe.kept == "flagged" for pipe in kept) else "content"
    periods = [pipe.seconds for pipe in kept if pipe.seconds is not None]
    # A pipeline that keeps for an unstated period makes the whole period unstated.
    longest = max(periods) if len(periods) == len(kept) else None
    return Kept(sort, longest, any(pipe.until_deleted for pipe in kept))


def _kept(worst: Kept, found: Said, *, contract: bool) -> Claim:
    value = keeping(
        worst.kept or "content", worst.seconds, until_deleted=worst.until_deleted, contract=contract
    )
    words = spoken(tuple(item for item in found if isinstance(item[1], str)))
    words = words or period_words(worst, "abuse monitoring keeps content")
    return catalogued(value, f"{words}; {_CONTRACT}" if contract else words, found)


def _gap(logging: Kept, moderation: Kept, found: Said) -> str:
    gaps = [name for name, pipe in (("logging", logging), ("moderation", moderation)) if pipe.kept is None]
    return f"{' and '.join(gaps)} not established" if found else ""
