"""A path that leads nowhere is refused in the words of whoever seems to ask."""

from __future__ import annotations

import pytest

from proxy.core.dialects import DIALECTS
from proxy.core.dialects.shape import shape_of
from proxy.core.values import Match, RawRequest


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/v1/messages/batches", (), "anthropic"),
        ("/v3/compat/v1/messages/batches", (), "anthropic"),
        ("/v1/files", ((b"Anthropic-Version", b"2023-06-01"),), "anthropic"),
        ("/v1/files", ((b"X-Goog-Api-Key", b"k"),), "google"),
        ("/v1beta/files", (), "google"),
        ("/v3/images/models", (), "opper"),
        ("/nothing", (), "openai"),
        ("", (), "openai"),
    ],
)
def test_path_and_headers_hint_at_the_sdk(path, headers, name):
    assert shape_of(RawRequest("POST", path, "", headers, b""), None).name == name


def test_a_match_says_it_for_certain():
    for dialect in DIALECTS:
        match = Match(dialect.endpoints[0])
        assert shape_of(RawRequest("POST", "/v1beta/x", "", (), b""), match) is dialect
