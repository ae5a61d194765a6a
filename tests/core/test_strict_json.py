"""One reading of a body, or none: held against readers that take bytes differently."""

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jiter import from_json

from proxy.core.errors import Unreadable
from proxy.core.strict_json import MAX_DEPTH, parse, parse_object
from proxy.core.values import Json

Parser = Callable[[bytes], Json]

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


def refusal(body: bytes, **limits: int) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(body, **limits)
    return caught.value


def caught(hold: Callable[[], None]) -> None:
    """A property that a broken reader passes would hold nothing."""
    with pytest.raises(AssertionError):
        hold()


# -- what everybody reads alike is read ------------------------------------------------------------


@given(values, st.booleans())
def test_what_other_readers_read_is_read_the_same(value: Json, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(body) == value == orjson.loads(body) == json.loads(body)


def first_key_wins(body: bytes) -> Json:
    value: Json = json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    return value


def last_key_wins(body: bytes) -> Json:
    value: Json = json.loads(body)
    return value


TOKENS = r"""{ } [ ] , : "a" "A" "\u0061" "b" 1 -0 1e999 NaN null 01 1.5 'a' true /*x*/ "\ud800" "a\u0000" """
tokens = st.sampled_from([*TOKENS.split(), *" \n\0\ufeff"])
soups = st.lists(tokens, max_size=14).map(lambda parts: "".join(parts).encode())
spoilers = st.sampled_from(
    ["\ufeff%s", "\0%s", "%s\0", "%s{}", "[%s,1e999]", "[%s,]", '{"a\\ud800":%s}', "//\n%s"]
)
spoiled = st.tuples(spoilers, values).map(lambda case: (case[0] % json.dumps(case[1])).encode())
repeated = st.tuples(names, values, values, st.integers(0, 4)).map(
    lambda case: (
        b'{"x":[' * case[3]
        + b"{%s:%s,%s:%s}"
        % (
            json.dumps(case[0]).encode(),
            json.dumps(case[1]).encode(),
            json.dumps(case[0], ensure_ascii=False).encode(),
            json.dumps(case[2]).encode(),
        )
        + b"]}" * case[3]
    )
)


def every_reader_agrees(read: Parser) -> None:
    @settings(database=None, max_examples=300, derandomize=True, report_multiple_bugs=False)
    @given(soups | spoiled | repeated)
    def hold(body: bytes) -> None:
        try:
            ours = read(body)
        except Unreadable:
            return
        for other in (first_key_wins, last_key_wins, orjson.loads):
            try:
                theirs = other(body)
            except ValueError as error:
                raise AssertionError("another reader refuses it") from error
            # Text tells 1 from 1.0 and true, which == does not.
            assert json.dumps(theirs, sort_keys=True) == json.dumps(ours, sort_keys=True)

    hold()


def test_a_body_that_is_read_has_one_reading_for_first_key_last_key_and_strict_readers() -> None:
    every_reader_agrees(parse)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(last_key_wins, id="takes the last of two equal keys"),
        pytest.param(lambda body: from_json(body, catch_duplicate_keys=True), id="lets infinity pass"),
        pytest.param(lambda body: parse(body.replace(b"\0", b"").strip(b"\xef\xbb\xbf")), id="cleans up"),
    ],
)
def test_the_property_catches_a_reader_that_is_more_lenient(broken: Parser) -> None:
    def read(body: bytes) -> Json:
        try:
            return broken(body)
        except ValueError as error:
            raise Unreadable("unreadable_json", "") from error

    caught(lambda: every_reader_agrees(read))


# -- equal keys ------------------------------------------------------------------------------------


def equal_keys_are_refused(read: Parser) -> None:
    @settings(database=None, derandomize=True, report_multiple_bugs=False)
    @given(repeated)
    def hold(body: bytes) -> None:
        code = ""
        try:
            read(body)
        except Unreadable as error:
            code = error.code
        assert code == "duplicate_key"

    hold()


def test_equal_keys_are_refused_at_every_depth_and_however_they_are_spelled() -> None:
    equal_keys_are_refused(parse)


def test_the_property_catches_a_reader_that_looks_for_equal_keys_at_the_top_only() -> None:
    def top_only(body: bytes) -> Json:
        def pairs(found: list[tuple[str, Json]]) -> dict[str, Json]:
            top.append(len({name for name, _ in found}) < len(found))
            return dict(found)

        top: list[bool] = []
        value: Json = json.loads(body, object_pairs_hook=pairs)
        if top[-1]:
            raise Unreadable("duplicate_key", "")
        return value

    caught(lambda: equal_keys_are_refused(top_only))


def test_the_sender_is_told_which_member_stands_twice_and_where() -> None:
    error = refusal(b'{"model": "a", "messages": [{"role": 1, "role": 2}]}')
    assert error.detail == 'The member "role" stands twice in one object (line 1 column 48).'
    assert str(error) == "duplicate_key"


def test_no_content_is_quoted_in_a_refusal() -> None:
    for body in (b'{"a": "CANARY" "b"}', b'{"a": CANARY}', b'["CANARY\x01"]', b'{"a": "CANARY\\ud800"}'):
        error = refusal(body)
        assert "CANARY" not in error.detail + str(error) + repr(error.args)
        assert error.__cause__ is None
        assert error.__suppress_context__


# -- what readers take differently -----------------------------------------------------------------

BODIES = {
    "empty": (b"", "unreadable_json"),
    "only spaces": (b" \r\n\t", "unreadable_json"),
    "byte order mark": (b"\xef\xbb\xbf{}", "unreadable_json"),
    "UTF-16 without a mark": ('{"model":"a"}'.encode("utf-16le"), "unreadable_json"),
    "UTF-16 with a mark": ('{"model":"a"}'.encode("utf-16"), "unreadable_json"),
    "UTF-32": ('{"model":"a"}'.encode("utf-32"), "unreadable_json"),
    "UTF-7": (b"{+ACI-model+ACI-:+ACI-a+ACI-}", "unreadable_json"),
    "overlong UTF-8": (b'{"model":"openai\xc0\xafgpt"}', "unreadable_json"),
    "surrogate in UTF-8": (b'{"a":"\xed\xa0\x80"}', "unreadable_json"),
    "Latin-1": (b'{"a":"\xe9"}', "unreadable_json"),
    "lone high surrogate": (rb'{"a":"\ud800"}', "unreadable_json"),
    "lone low surrogate": (rb'{"a":"\udc00"}', "unreadable_json"),
    "lone surrogate in a name": (rb'{"model\ud800":1}', "unreadable_json"),
    "surrogates in the wrong order": (rb'{"a":"\udc00\ud800"}', "unreadable_json"),
    "NUL in a name": (rb'{"model\u0000":1}', "ambiguous_member"),
    "NUL in a name below": (rb'{"a":[{"b":{"model\u0000x":1}}]}', "ambiguous_member"),
    "raw NUL": (b'{"a\x00":1}', "unreadable_json"),
    "raw control character": (b'{"a":"\x01"}', "unreadable_json"),
    "NaN": (b'{"a":NaN}', "unreadable_json"),
    "Infinity": (b'{"a":-Infinity}', "unreadable_json"),
    "1e999": (b'{"a":1e999}', "number_out_of_range"),
    "-1E+999 in a list": (b"[[0,-1E+999]]", "number_out_of_range"),
    "1e999 on its own": (b"1e999", "number_out_of_range"),
    "1e999 in a long list": (b"[" + b"1," * 200 + b"1e999]", "number_out_of_range"),
    "-1e999 in a long mixed list": (b'["a",' + b"1," * 200 + b"-1e999]", "number_out_of_range"),
    "400 digits": (b'{"a":1' + b"0" * 400 + b"}", "number_out_of_range"),
    "5000 digits": (b'{"seed":' + b"9" * 5000 + b"}", "number_out_of_range"),
    "trailing document": (b"{}{}", "unreadable_json"),
    "trailing NUL": (b"{}\x00", "unreadable_json"),
    "comment": (b'{"a":1/*,"x":"*/,"b":2}', "unreadable_json"),
    "trailing comma": (b'{"a":1,}', "unreadable_json"),
    "single quotes": (b"{'a':1}", "unreadable_json"),
    "leading zero": (b'{"a":01}', "unreadable_json"),
    "plus sign": (b'{"a":+1}', "unreadable_json"),
    "no digit after the point": (b'{"a":5.}', "unreadable_json"),
    "vertical tab as a space": (b"\x0b{}", "unreadable_json"),
    "no-break space": (b"\xc2\xa0{}", "unreadable_json"),
    "cut off": (b'{"a":"x', "unreadable_json"),
    "form data": (b"model=a&model=b", "unreadable_json"),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
def test_what_readers_take_differently_is_refused(body: bytes, code: str) -> None:
    assert refusal(body).code == code


def test_what_only_looks_unusual_is_read() -> None:
    assert parse(rb'{"a":"\ud83d\ude00\u0000","\\u0000":"x"}') == {"a": "\U0001f600\0", "\\u0000": "x"}
    assert parse(b' {"a" : -0.0e-999 } \r\n') == {"a": 0.0}
    assert parse(b"[" + b"7," * 1000 + b"1.5]") == [7] * 1000 + [1.5]
    assert parse(b'{"a":18446744073709551616}') == {"a": 2**64}


@pytest.mark.parametrize("body", [b"[]", b"null", b'"model"', b"1", b"true", b'[{"model":"a"}]'])
def test_a_body_that_is_no_object_is_refused_where_one_is_asked_for(body: bytes) -> None:
    with pytest.raises(Unreadable) as error:
        parse_object(body)
    assert error.value.code == "wrong_type"
    assert parse_object(b'{"a":[]}') == {"a": []}


# -- size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_depth_is_counted_in_arrays_and_objects(opened: bytes, closed: bytes) -> None:
    each = opened.count(b"[") + opened.count(b"{")
    times = MAX_DEPTH // each
    assert parse(opened * times + b"1" + closed * times)
    assert refusal(opened * (times + 1) + b"1" + closed * (times + 1)).code == "too_deep"


def test_a_nesting_bomb_costs_no_recursion() -> None:
    assert refusal(b"[" * 100_000 + b"]" * 100_000).code == "too_deep"
    assert refusal(b'{"a":' * 100_000).code == "too_deep"


def test_members_arrays_and_objects_are_counted_together() -> None:
    body = json.dumps({"a": {str(number): number for number in range(10)}, "b": [[], {}]}).encode()
    assert parse(body, max_members=17)
    assert refusal(body, max_members=16).code == "too_many_members"


def test_the_members_of_a_body_are_limited_unless_told_otherwise() -> None:
    body = b"[" + b"{}," * 200_000 + b"{}]"
    assert refusal(body).code == "too_many_members"
    assert parse(body, max_members=300_000)
    many = json.dumps({f"k{number}": 1 for number in range(100_001)}).encode()
    assert refusal(many).code == "too_many_members"
