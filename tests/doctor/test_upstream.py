"""What the doctor says of the gateway: real servers with real certificates, real keys, real clocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from proxy.doctor.finding import Finding, State
from proxy.doctor.upstream import upstream_findings
from proxy.simulator import Options, Simulator
from tests.authority import Authority
from tests.doctor.setup import ENVIRON, sound

KEY = ENVIRON["OPPER_API_KEY"]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    options = Options(keys=frozenset({KEY}), only_these_keys=True)
    async with Simulator(options) as running:
        yield running


async def found(
    folder: Path, base_url: str, *, at: datetime | None = None, key: str = KEY, **gateway: object
) -> dict[str, Finding]:
    settings = sound(folder, gateway={"base_url": base_url, **gateway})
    findings = await upstream_findings(settings, {"OPPER_API_KEY": key}, at=at or datetime.now(UTC))
    return {each.check: each for each in findings}


async def test_a_gateway_that_answers_and_takes_the_key_passes(tmp_path: Path, simulator: Simulator) -> None:
    every = await found(tmp_path, simulator.base_url)
    assert {name: each.state for name, each in every.items()} == {
        "gateway": State.OK, "clock": State.OK, "key accepted": State.OK,
    }  # fmt: skip


async def test_only_the_model_list_is_asked_for_and_first_without_a_key(
    tmp_path: Path, simulator: Simulator
) -> None:
    await found(tmp_path, simulator.base_url)
    first, second = simulator.witness.seen
    assert first.path == second.path == "/v3/models"
    assert first.header("authorization") is None
    assert second.header("authorization") == f"Bearer {KEY}"


async def test_a_key_that_is_not_known_is_not_called_accepted(tmp_path: Path, simulator: Simulator) -> None:
    every = await found(tmp_path, simulator.base_url, key="op-wrong-0123456789abcdef")
    assert every["key accepted"].state is not State.OK
    assert "op-wrong" not in str(every)


@pytest.mark.parametrize(("status", "state"), [(401, State.FAIL), (403, State.FAIL), (500, State.WARN)])
async def test_a_refused_key_fails_and_says_whose(tmp_path: Path, status: int, state: State) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"models": []}, status=status if "Authorization" in request.headers else 200)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    every = await found(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert every["key accepted"].state is state
    assert "the common key" in every["key accepted"].says


@pytest.mark.parametrize(("apart", "state"), [(20, State.OK), (100, State.WARN), (-1000, State.FAIL)])
async def test_a_clock_that_is_off_is_told_by_how_much(
    tmp_path: Path, simulator: Simulator, apart: int, state: State
) -> None:
    every = await found(tmp_path, simulator.base_url, at=datetime.now(UTC) + timedelta(seconds=apart))
    assert every["clock"].state is state


async def sealed(
    authority: Authority, name: str, *, expired: bool = False
) -> tuple[web.ServerRunner, list[str]]:
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"models": [{"id": "a/b", "policy": {}}]})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server(name, expired=expired)).start()
    return runner, seen


@pytest.mark.parametrize("case", ["sound", "unknown authority", "other name", "expired"])
async def test_a_key_leaves_only_when_the_certificate_holds(tmp_path: Path, case: str) -> None:
    authority, other = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    name = "elsewhere.example" if case == "other name" else "localhost"
    runner, seen = await sealed(authority, name, expired=case == "expired")
    trusted = other if case == "unknown authority" else authority
    every = await found(tmp_path, f"https://localhost:{runner.addresses[0][1]}", ca_file=str(trusted.file))
    await runner.cleanup()
    if case == "sound":
        assert every["gateway"].state is State.OK
        assert "TLS verified" in every["gateway"].says
        assert seen == ["", f"Bearer {KEY}"]
    else:
        assert every["gateway"].state is State.FAIL
        assert "certificate" in every["gateway"].says
        assert seen == []


async def test_a_gateway_that_is_not_there_fails_with_what_to_check(tmp_path: Path) -> None:
    every = await found(tmp_path, "http://127.0.0.1:9")
    assert set(every) == {"gateway"}
    assert every["gateway"].state is State.FAIL
    assert "base_url" in every["gateway"].do


async def test_something_else_than_the_gateway_fails(tmp_path: Path) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/login"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    every = await found(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert "answers 302" in every["gateway"].says


async def test_an_authority_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    every = await found(tmp_path, "https://localhost:9", ca_file="nowhere.pem")
    assert "nowhere.pem" in every["gateway"].says
