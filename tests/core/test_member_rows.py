"""A member table that is not judged or not understood does not compile."""

from __future__ import annotations

import pytest

from proxy.core.errors import Mistake
from proxy.core.member_rows import compile_members
from proxy.core.values import Json


def with_member(text: str) -> Json:
    return {"tables": {"t": {"root": "r"}}, "shapes": {"r": {"members": {"m": text}}}}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (with_member("? string"), "r.m is not judged"),
        (with_member("content nowhere"), "no shape is called nowhere"),
        (with_member("content [string"), "is no kind of value"),
        (with_member("content string||number"), "is no kind of value"),
        ([], "must be a dict"),
        ({"tables": {}}, "shapes must be a dict"),
        (
            {"tables": {"t": {"root": "r"}}, "shapes": {"r": {"added": {"m": {"is": "content open"}}}}},
            "where",
        ),
    ],
)
def test_a_table_that_is_not_judged_or_not_understood_does_not_compile(file: Json, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        compile_members(file)


def test_two_files_may_not_define_the_same_table() -> None:
    with pytest.raises(Mistake, match="twice"):
        compile_members(with_member("content string"), with_member("content string"))
