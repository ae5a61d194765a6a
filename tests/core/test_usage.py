"""A price is read only where there is one, and of two words for one thing the later counts."""

from __future__ import annotations

import pytest

from proxy.core.usage import microusd, usage_of
from proxy.core.values import Usage


@pytest.mark.parametrize(
    ("said", "want"),
    [
        (0.00042, 420),
        ("0.0001", 100),
        (0, 0),
        (None, None),
        ("", None),
        (True, None),
        (-1, None),
        ("nan", None),
        (1e9, None),
    ],
)
def test_a_price_is_millionths_of_a_dollar(said, want):
    assert microusd(said) == want


@pytest.mark.parametrize(
    ("texts", "want"),
    [
        ([], Usage()),
        ([None, 7, "text", []], Usage()),
        ([{"id": "a", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}], Usage(3, 4, None, "a")),
        ([{"usage": {"prompt_tokens": 3, "cost": 0.5}}], Usage(3, None, 500_000)),
        ([{"usage": {"prompt_tokens": 3, "cost": 10**400}}], Usage(3)),
        ([{"usage": {"input_tokens": 3, "output_tokens": 1}}, {"usage": {"output_tokens": 9}}], Usage(3, 9)),
        ([{"usage": {"input_tokens": 3}}, {"usage": {"input_tokens": 5}}], Usage(5)),
        ([{"usage": {"input_tokens": 3, "cache_read_input_tokens": 20}}], Usage(23)),
        ([{"usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 4}}], Usage(1, 4)),
        ([{"usageMetadata": {"candidatesTokenCount": 2, "thoughtsTokenCount": 4}}], Usage(None, 6)),
        ([{"response": {"id": "r", "usage": {"input_tokens": 0}}}], Usage(0, upstream_id="r")),
        ([{"usage": {"prompt_tokens": -1, "completion_tokens": True, "cost": "free"}}], Usage()),
        ([{"usage": {"prompt_tokens": 1 << 53}}], Usage()),
        ([{"id": "x" * 129}, {"id": "a\nb"}, {"id": 7}], Usage()),
    ],
)
def test_what_replies_say_is_merged_and_what_no_record_can_hold_is_not_believed(texts, want):
    assert usage_of(texts) == want
