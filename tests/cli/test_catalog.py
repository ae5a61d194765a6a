import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator in a loop of its own, since each command runs its own loop."""
    running, loop = Simulator(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(running.start(), loop).result()
    yield running
    asyncio.run_coroutine_threadsafe(running.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPPER_API_KEY", raising=False)
    monkeypatch.delenv("RINGFENCE_CONFIG", raising=False)

    def run(*arguments: str, base_url: str = "http://127.0.0.1:1", key: str = "") -> Result:
        place = ["--data-dir", str(tmp_path / "data"), "--base-url", base_url]
        return CliRunner().invoke(main, ["catalog", *arguments, *place], env={"OPPER_API_KEY": key})

    return run


def test_sync_prints_what_it_fetched_and_what_is_new(catalog, simulator):
    result = catalog("sync", base_url=simulator.base_url)
    assert result.exit_code == 0
    assert "new (" in result.stdout
    assert "  example-us/atlas-1\n" in result.stdout
    assert "sha256:" in result.stdout


def test_sync_as_the_first_command_makes_a_data_folder_for_its_owner_only(catalog, simulator, tmp_path):
    catalog("sync", base_url=simulator.base_url)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_sync_uses_the_gateway_key_when_there_is_one(catalog, simulator):
    catalog("sync", base_url=simulator.base_url, key="op-secret")
    catalog("sync", "--keyless", base_url=simulator.base_url, key="op-secret")
    keyed, keyless = simulator.witness.seen
    assert (keyed.header("authorization"), keyless.header("authorization")) == ("Bearer op-secret", None)
    assert keyed.target.endswith("&include=route,policy")


def test_a_second_sync_prints_what_became_worse(catalog, simulator):
    catalog("sync", base_url=simulator.base_url)
    simulator.rows.patch("example-us/atlas-1", {"compliance": {"training": True}})
    result = catalog("sync", base_url=simulator.base_url)
    assert "worse (1):\n  example-us/atlas-1  training: " in result.stdout
    again = catalog("diff", base_url=simulator.base_url)
    assert "worse (1):\n  example-us/atlas-1  training: " in again.stdout


def test_a_sync_that_fails_says_why_and_what_stays(catalog):
    result = catalog("sync")
    assert result.exit_code == 1
    assert "could not be reached" in result.stderr
    assert "44 routes from the bundled snapshot" in result.stderr


def test_list_shows_the_bundled_snapshot_before_any_sync(catalog):
    result = catalog("list", "--kind", "image")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert rows[0].split()[:2] == ["ROUTE", "KIND"]
    assert any(row.startswith("openai/gpt-image-1  ") for row in rows)
    assert all("image" in row for row in rows[1:])
    assert "bundled snapshot" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--provider", "azure-zdr"), ["azure-zdr/gpt-5.6-sol", "azure-zdr/gpt-5.6-sol-global"]),
        (("--model", "kimi-k3"), ["berget/kimi-k3"]),
        (("--search", "KIMI-K2.7"), ["inceptron/moonshotai/Kimi-K2.7-Code"]),
        (("--known", "training"), ["openai/gpt-image-1"]),
        (("--known", "training", "--kind", "llm"), []),
    ],
)
def test_list_filters(catalog, options, expected):
    result = catalog("list", "--json", *options)
    assert [orjson.loads(line)["id"] for line in result.stdout.splitlines()] == expected


def test_show_prints_claims_with_their_basis_and_source(catalog):
    text = " ".join(catalog("show", "openai/gpt-image-1").stdout.split())
    assert "training No training on customer data. catalogue catalogue:compliance.training" in text
    assert "third_parties unknown (None disclosed) unknown" in text
    assert "transfer_basis SCCs catalogue" in text


def test_show_as_json_holds_the_same(catalog):
    shown = orjson.loads(catalog("show", "openai/gpt-image-1", "--json").stdout)
    assert shown["posture"]["dpa"]["words"] == "DPA available"


def test_a_pool_name_is_not_a_route_and_its_members_are_named(catalog):
    result = catalog("show", "claude-sonnet-4-6")
    assert result.exit_code == 1
    assert "it stands for anthropic/claude-sonnet-4-6, aws/claude-sonnet-4-6-eu" in result.stderr


def test_a_misspelt_route_is_answered_with_the_nearest(catalog):
    assert "did you mean 'openai/gpt-image-1'?" in catalog("show", "openai/gpt-imag-1").stderr


def test_compare_puts_postures_and_prices_side_by_side_and_marks_what_differs(catalog, simulator):
    catalog("sync", base_url=simulator.base_url)
    result = catalog("compare", "example-us/atlas-1", "example-open/atlas-1", base_url=simulator.base_url)
    lines = {line.strip("* ").split("  ")[0]: line for line in result.stdout.splitlines()[1:]}
    assert lines["training"].startswith("*  training")
    assert "training: no" in lines["training"]
    assert "training: yes" in lines["training"]
    assert lines["output USD/M"].split()[-2:] == ["4", "4"]
    assert not lines["output USD/M"].startswith("*")


def test_diff_without_two_catalogues_says_what_to_do(catalog):
    result = catalog("diff")
    assert (result.exit_code, "ringfence catalog sync" in result.stderr) == (1, True)


def test_diff_against_the_bundled_snapshot(catalog, simulator):
    catalog("sync", base_url=simulator.base_url)
    result = catalog("diff", "--bundled", base_url=simulator.base_url)
    assert "example-us/atlas-1" in result.stdout


def test_control_characters_of_the_catalogue_do_not_reach_the_terminal(catalog, simulator):
    simulator.rows.patch(
        "example-us/atlas-1", {"compliance": {"country": "Sweden\x1b[2J"}, "name": "a\x1b]0;b\x07"}
    )
    catalog("sync", base_url=simulator.base_url)
    place = {"base_url": simulator.base_url}
    outputs = [
        catalog("list", **place),
        catalog("show", "example-us/atlas-1", **place),
        catalog("compare", "example-us/atlas-1", "example-eu/atlas-1", **place),
        catalog("diff", "--bundled", **place),
        catalog("sync", **place),
    ]
    assert [result.exit_code for result in outputs] == [0] * 5
    assert [text for result in outputs for text in result.output if text in "\x1b\x07"] == []
