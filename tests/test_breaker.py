"""After repeated failures the gateway is left alone, then probed once."""

from proxy.breaker import Breaker


def tripped() -> Breaker:
    breaker = Breaker(threshold=3, span=1, pause=10)
    for now in (99.0, 99.5, 100.0):
        breaker.failed(now)
    return breaker


def test_single_failures_between_successes_never_open_it() -> None:
    breaker = Breaker(threshold=3, span=1, pause=10)
    for now in range(20):
        breaker.failed(now)
        breaker.failed(now)
        breaker.succeeded()
    assert breaker.admits(20)
    assert not breaker.is_open


def test_failures_that_end_together_between_successes_never_open_it() -> None:
    breaker = Breaker(threshold=3, span=1, pause=10)
    for now in range(20):
        for _ in range(50):
            breaker.failed(now)
        assert breaker.admits(now)
        breaker.succeeded()
    assert not breaker.is_open


def test_a_row_that_goes_on_opens_it_however_it_began() -> None:
    breaker = Breaker(threshold=3, span=1, pause=10)
    for now in (99.0, 99.0, 99.0, 99.9):
        breaker.failed(now)
    assert breaker.admits(99.9)
    breaker.failed(100.0)
    assert breaker.is_open
    assert not breaker.admits(109.9)
    assert breaker.admits(110.0)


def test_it_opens_at_the_threshold_and_holds_for_the_pause() -> None:
    breaker = tripped()
    assert breaker.is_open
    assert not breaker.admits(100.1)
    assert not breaker.admits(109.9)


def test_half_open_lets_one_probe_through_at_a_time() -> None:
    breaker = tripped()
    assert breaker.admits(110)
    assert not breaker.admits(110)


def test_a_good_probe_closes_it_and_a_bad_one_opens_it_again() -> None:
    good, bad = tripped(), tripped()
    assert good.admits(110)
    assert bad.admits(110)
    good.succeeded()
    bad.failed(110)
    assert good.admits(110)
    assert good.admits(110)
    assert not bad.admits(119)
    assert bad.admits(120)


def test_a_probe_that_was_never_sent_leaves_room_for_another() -> None:
    breaker = tripped()
    assert breaker.admits(110)
    breaker.withdrawn()
    assert breaker.admits(110)


def test_a_probe_that_takes_long_keeps_nobody_out_for_longer_than_a_pause() -> None:
    breaker = tripped()
    assert breaker.admits(110)
    assert not breaker.admits(119)
    assert breaker.admits(120)
    assert not breaker.admits(121)
    breaker.succeeded()
    assert breaker.admits(121)
    assert not breaker.is_open


def test_requests_that_were_under_way_when_it_opened_do_not_put_the_probe_off() -> None:
    breaker = tripped()
    for second in range(101, 110):
        breaker.failed(second)
    assert breaker.admits(110)
