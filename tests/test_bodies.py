"""Bodies never take more memory together than they may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bodies import BodyBudget, Share, Turned


def test_a_budget_never_holds_more_than_it_may() -> None:
    budget = BodyBudget(10)
    budget.take(10)
    with pytest.raises(Turned, match="overloaded"):
        budget.take(1)
    budget.release(10)
    budget.take(4)
    assert budget.held == 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=40))
def test_whatever_requests_do_the_budget_is_what_their_shares_hold(steps: list[tuple[int, int]]) -> None:
    budget = BodyBudget(20)
    shares = [Share(budget) for _ in range(4)]
    for which, size in steps:
        if size == 0:
            shares[which].release()
            continue
        before = shares[which].size
        try:
            shares[which].grow(size)
        except Turned:
            assert shares[which].size == before
        assert budget.held == sum(share.size for share in shares) <= 20
    for share in shares:
        share.release()
    assert budget.held == 0
