"""A transfer basis is named or it is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.dimensions.base import Misread
from proxy.core.dimensions.transfer_basis import TransferBasis
from proxy.core.values import Outcome
from tests.judging import AT, COUNTRIES

BASIS = TransferBasis()


@pytest.mark.parametrize(
    ("found", "value"),
    [
        ("SCCs", ["scc"]),
        ("Standard Contractual Clauses", ["scc"]),
        ("SCCs, DPF", ["dpf", "scc"]),
        ("DPF and SCCs", ["dpf", "scc"]),
        (["SCCs", "adequacy"], ["adequacy", "scc"]),
        ("Not applicable", ["none"]),
        # Clauses for a transfer that does not happen: one of the two is wrong.
        ("SCCs; none", None),
        (["adequacy", "no transfer"], None),
        ("unknown", None),
        ("SCCs, magic", None),
        (7, None),
        ("", None),
    ],
)
def test_readings(found: Any, value: Any) -> None:
    assert BASIS.read({"compliance": {"transfer_mechanism": found}}).value == value


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        (["scc", "adequacy"], "SCCs", Outcome.MET),
        (["adequacy"], "SCCs", Outcome.UNMET),
        (["adequacy"], "unknown", Outcome.UNKNOWN),
        (["scc"], "SCCs, DPF", Outcome.MET),
        (["scc", "adequacy"], "DPF", Outcome.UNMET),
    ],
)
def test_one_accepted_basis_is_enough(asked: Any, found: str, expected: Outcome) -> None:
    claim = BASIS.read({"compliance": {"transfer_mechanism": found}})
    assert BASIS.judge(BASIS.parse({"any_of": asked}, COUNTRIES), claim, at=AT).outcome is expected


def test_every_wrong_basis_is_reported() -> None:
    asked: dict[str, Any] = {"any_of": ["sccs", "scc", "dpd"]}
    with pytest.raises(Misread) as caught:
        BASIS.parse(asked, COUNTRIES)
    assert [pointer for pointer, _ in caught.value.wrongs] == [("any_of", 0), ("any_of", 2)]
    assert "did you mean 'scc'?" in caught.value.wrongs[0][1]
