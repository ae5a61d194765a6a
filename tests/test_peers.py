"""Whom an address belongs to, when others may write what they like into a header field."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.peers import Peers

PEERS = Peers([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def of(remote: str, *fields: str, peers: Peers = PEERS) -> str:
    return peers.of(remote, tuple((b"X-Forwarded-For", field.encode()) for field in fields))


@pytest.mark.parametrize(
    ("remote", "fields", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:51234"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::5]:51234"], "2001:db8::5"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, _hidden, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9,"], "10.0.0.1"),
    ],
)
def test_the_rightmost_address_that_no_trusted_proxy_has_is_the_clients(
    remote: str, fields: list[str], client: str
) -> None:
    assert of(remote, *fields) == client


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_a_client_that_comes_directly_can_write_what_it_likes(fields: list[str]) -> None:
    assert of("203.0.113.9", *fields) == "203.0.113.9"
    assert of("10.0.0.1", *fields, peers=Peers(())) == "10.0.0.1"


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_nothing_before_what_the_proxy_wrote_counts(fields: list[str]) -> None:
    assert of("10.0.0.1", *fields, "203.0.113.9") == "203.0.113.9"


def test_another_field_says_nothing() -> None:
    headers = ((b"X-Real-IP", b"203.0.113.9"), (b"Forwarded", b"for=1.2.3.4"))
    assert PEERS.of("10.0.0.1", headers) == "10.0.0.1"
