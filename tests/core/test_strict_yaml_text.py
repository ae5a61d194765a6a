"""What stands in an operator's file is text that has bytes: found by fuzzing the loader."""

import pytest

from proxy.core.errors import Mistakes
from proxy.core.strict_yaml import load


@pytest.mark.parametrize("text", ['a: "\\ud800"', '"\\udfff": 1', '- "x\\uD83D\\uDE00"'])
def test_half_of_a_surrogate_pair_is_a_mistake_at_its_place(text: str) -> None:
    with pytest.raises(Mistakes) as caught:
        load(text, "policy.yaml")
    assert "surrogate" in str(caught.value.found[0])
    assert caught.value.found[0].line == 1


def test_a_character_beyond_the_basic_plane_is_read() -> None:
    assert load('a: "\\U0001F600\U0001f600"', "policy.yaml").data == {"a": "\U0001f600\U0001f600"}
