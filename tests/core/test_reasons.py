"""The vocabulary of reason codes is closed, and every code tells a person what to do."""

from __future__ import annotations

import pytest

from proxy.core.reasons import REASONS, reason


@pytest.mark.parametrize("code", REASONS)
def test_every_code_has_a_status_a_meaning_and_advice(code: str) -> None:
    found = REASONS[code]
    assert found.code == code
    assert found.status == 0 or 400 <= found.status < 600
    assert found.meaning.endswith(".")
    assert found.advice.endswith(".")


@pytest.mark.parametrize("code", REASONS)
def test_a_denial_is_never_marked_to_be_tried_again(code: str) -> None:
    if REASONS[code].status in (400, 401, 403, 404, 405, 413, 415):
        assert not REASONS[code].retry


def test_the_codes_that_other_parts_rely_on_have_the_statuses_they_expect() -> None:
    expected = {
        "no_matching_policy": 403, "requirement_unmet": 403, "requirement_unknown": 403,
        "feature_refused": 403, "unknown_model": 403, "model_not_pinned": 403, "no_compliant_route": 403,
        "route_quarantined": 403, "catalogue_stale": 403, "served_mismatch": 403, "not_confirmed": 403,
        "unreadable_json": 400, "duplicate_key": 400, "ambiguous_member": 400, "unknown_member": 400,
        "body_too_large": 413, "no_credential": 401, "unknown_key": 401, "conflicting_credentials": 400,
        "unknown_endpoint": 404, "rate_limited": 429, "overloaded": 503, "audit_unavailable": 503,
        "upstream_unreachable": 502, "upstream_timeout": 504, "upstream_broke_off": 502, "proxy_fault": 503,
    }  # fmt: skip
    assert {code: REASONS[code].status for code in expected} == expected


def test_the_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        REASONS["new"] = REASONS["proxy_fault"]  # type: ignore[index]  # that is what is tested


def test_an_unlisted_code_reads_as_a_fault_of_ours() -> None:
    assert reason("invented").code == "proxy_fault"
