"""what the provider keeps so that features work: stored responses, files, conversations"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from proxy.core.dimensions.base import Assertable, KeepingDimension
from proxy.core.keeping import CONTENT, keeping, period_words, read_keeping
from proxy.core.rows import Row, catalogued, unstated, zdr_status
from proxy.core.values import Claim


class RetentionApplicationState(KeepingDimension):
    """What stays after the answer because of the endpoint itself. Request features add to it."""

    name = "retention.application_state"
    title = "retention of application state"
    asks = "What may be kept so that features work (stored responses, files), and how long."
    bought_by = "zero_data_retention"
    words: ClassVar[Mapping[str, frozenset[str]]] = {
        "none": frozenset(["none"]),
        "until_deleted": frozenset(["none"]),
    }
    examples = ("none", {"at_most": "30d"}, "until_deleted", "any")
    attestable = (
        Assertable(
            "zero_data_retention",
            "the provider keeps no content after the answer, by contract",
            {"kept": "none"},
        ),
        Assertable(
            "no_application_state",
            "the provider stores no application state for this route",
            {"kept": "none"},
        ),
    )

    @override
    def read(self, row: Row) -> Claim:
        """Read the content storage that is stated, else the one-word zero-retention status."""
        state = read_keeping(row, *CONTENT)
        status = zdr_status(row)
        contract = status == "enterprise"
        if state.kept == "none":
            return catalogued(keeping("none"), "no application state", state.found)
        if state.kept is not None:
            value = keeping(state.kept, state.seconds, until_deleted=state.until_deleted, contract=contract)
            return catalogued(value, period_words(state, "application state is kept"), state.found)
        if status == "always" and not state.found:
            return catalogued(keeping("none"), "zero data retention always", ("zdr.status",))
        if contract:
            words = "zero data retention only under an Enterprise contract"
            return catalogued(keeping("unsaid", contract=True), words, ("zdr.status",))
        return unstated()
