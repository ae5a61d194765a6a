"""Who is asking: one credential or none, whatever carrier the SDK uses."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.callers import LONGEST, CallerTable, _sole, _weighed, credential, fingerprint
from proxy.core.errors import Unreadable
from proxy.core.values import Caller, RawRequest

KEY = b"rk-test-0123456789abcdef0123456789abcdef"
ALL_CARRIERS = (
    (b"Authorization", b"Bearer " + KEY),
    (b"x-api-key", KEY),
    (b"X-Goog-Api-Key", KEY),
)
visible = st.binary(min_size=1, max_size=60).map(lambda raw: bytes(0x21 + byte % 0x5E for byte in raw))


def request(*headers: tuple[bytes, bytes], query: str = "") -> RawRequest:
    return RawRequest("POST", "/v1/chat/completions", query, ((b"Host", b"proxy.test"), *headers), b"{}")


def refused(raw: RawRequest) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        credential(raw)
    return caught.value


@pytest.mark.parametrize("carrier", ALL_CARRIERS)
def test_a_key_is_found_in_every_header_that_an_sdk_uses(carrier: tuple[bytes, bytes]) -> None:
    assert credential(request(carrier)) == KEY


@pytest.mark.parametrize("query", ["key=%s", "alt=sse&key=%s", "%%6b%%65y=%s", "key=%s&alt=sse"])
def test_a_key_is_found_in_the_query_of_a_google_client(query: str) -> None:
    assert credential(request(query=query % KEY.decode())) == KEY


def test_percent_encoding_in_the_query_is_undone_once() -> None:
    assert credential(request(query="key=a%2Bb%2525")) == b"a+b%25"


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_the_scheme_is_read_without_regard_to_case(scheme: bytes) -> None:
    assert credential(request((b"authorization", scheme + b" " + KEY))) == KEY


def test_the_same_key_in_several_carriers_is_one_credential() -> None:
    assert credential(request(*ALL_CARRIERS, query=f"key={KEY.decode()}")) == KEY


@pytest.mark.parametrize(
    "value",
    [
        b"", b"Bearer", b"Bearer ", b"Bearer  " + KEY, b"Bearer\t" + KEY, b"Basic " + KEY, KEY,
        b"Bearer " + KEY + b" x", b"Bearer " + KEY + b"\x00", b"Bearer \xc3\xa9" + KEY,
        b"Bearer " + b"k" * (LONGEST + 1),
    ],
)  # fmt: skip
def test_an_authorization_header_that_is_not_one_bearer_token_is_no_credential(value: bytes) -> None:
    assert refused(request((b"Authorization", value))).code == "no_credential"


@pytest.mark.parametrize("name", [b"x-api-key", b"x-goog-api-key"])
@pytest.mark.parametrize("value", [b"", b" ", KEY + b"\xff", KEY + b" "])
def test_a_plain_carrier_with_anything_but_visible_ascii_is_no_credential(name: bytes, value: bytes) -> None:
    assert refused(request((name, value))).code == "no_credential"


def test_an_unusable_carrier_is_not_rescued_by_a_good_one() -> None:
    assert refused(request((b"Authorization", b"Bearer " + KEY), (b"x-api-key", b""))).code == "no_credential"


def test_a_request_without_any_carrier_is_told_how_to_send_a_key() -> None:
    error = refused(request())
    assert error.code == "no_credential"
    assert "Authorization: Bearer" in error.detail


@pytest.mark.parametrize("second", [(b"x-api-key", KEY + b"x"), (b"x-goog-api-key", b"op-attacker")])
def test_two_carriers_with_different_keys_conflict(second: tuple[bytes, bytes]) -> None:
    error = refused(request((b"Authorization", b"Bearer " + KEY), second))
    assert error.code == "conflicting_credentials"
    assert "attacker" not in error.detail


def test_a_key_in_the_query_that_differs_from_the_header_conflicts() -> None:
    raw = request((b"Authorization", b"Bearer " + KEY), query="key=op-attacker")
    assert refused(raw).code == "conflicting_credentials"


@pytest.mark.parametrize("carrier", ALL_CARRIERS)
def test_one_carrier_twice_conflicts_even_with_equal_values(carrier: tuple[bytes, bytes]) -> None:
    assert refused(request(carrier, carrier)).code == "conflicting_credentials"


@pytest.mark.parametrize("query", ["monkey=1", "KEY=1", "k%65ys=1", "alt=sse", "keykey", "%"])
def test_other_query_members_are_no_credential(query: str) -> None:
    assert credential(request((b"x-api-key", KEY), query=query)) == KEY


@given(visible, visible)
def test_a_credential_comes_out_as_sent_and_never_with_another_beside_it(one: bytes, other: bytes) -> None:
    raw = request((b"x-api-key", one), (b"Authorization", b"Bearer " + other))
    if one == other:
        assert credential(raw) == one
    else:
        assert refused(raw).code == "conflicting_credentials"


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_no_header_value_makes_reading_fail_in_any_other_way(value: bytes, name: bytes) -> None:
    for raw in (request((b"Authorization", value)), request((name, value)), request((b"x-api-key", value))):
        try:
            assert credential(raw)
        except Unreadable as error:
            assert error.code in {"no_credential", "conflicting_credentials"}


@given(st.text(st.characters(), max_size=40))
def test_no_query_makes_reading_fail_in_any_other_way(query: str) -> None:
    for text in (query, f"key={query}", f"{query}=&key=\ud800"):
        try:
            assert credential(request(query=text))
        except Unreadable as error:
            assert error.code in {"no_credential", "conflicting_credentials"}


def test_a_fingerprint_is_the_keyed_hash_of_the_whole_key() -> None:
    assert fingerprint(KEY, b"pepper") == hmac.new(b"pepper", KEY, hashlib.sha256).hexdigest()
    assert fingerprint(KEY + b"x", b"pepper") != fingerprint(KEY, b"pepper") != fingerprint(KEY, b"salt")


def test_a_table_finds_only_the_keys_that_are_in_force() -> None:
    caller = Caller("acme", "web", "k1")
    table = CallerTable({fingerprint(KEY, b"p"): caller})
    assert table.find(fingerprint(KEY, b"p")) is caller
    assert table.find(fingerprint(KEY + b"x", b"p")) is None
    assert table.find(fingerprint(KEY[:-1], b"p")) is None


carriers = st.sampled_from(
    [b"Authorization", b"authorization", b"x-api-key", b"X-Goog-Api-Key", b"x-other", b"proxy-authorization"]
)
carried = st.sampled_from(
    [b"", KEY, b"Bearer " + KEY, b"bearer " + KEY, b"Bearer  " + KEY, b"Bearer ", b"Bearer a b",
     b"Bearer \xff", b"Basic " + KEY, b"Bearer " + b"x" * (LONGEST + 1), b"Bearer other"]
)  # fmt: skip


@given(
    st.lists(st.tuples(carriers, carried), max_size=4),
    st.sampled_from(["", "alt=sse", f"key={KEY.decode()}", "%6bey=other", "monkey=1"]),
)
def test_the_short_way_to_a_credential_finds_what_the_long_way_finds(headers, query: str) -> None:
    raw = request(*headers, query=query)
    if short := _sole(raw):
        assert short == _weighed(raw)
