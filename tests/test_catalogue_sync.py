import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from proxy.catalogue_sync import CatalogueSync, SyncSettings, bundled, kept, read_kept
from proxy.core.catalog import Catalogue
from proxy.core.values import Basis, Json, Reference
from proxy.simulator import Fault, Simulator

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Gateway:
    """A gateway whose answer a test can change between fetches."""

    def __init__(self) -> None:
        self.seen: list[web.BaseRequest] = []
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.base_url = ""

    def rows(self, *rows: dict[str, Json], **envelope: Json) -> None:
        self.body = orjson.dumps({"models": rows, "total": len(rows), **envelope})

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
async def gateway():
    running = Gateway()
    runner = web.ServerRunner(web.Server(running.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield running
    await runner.cleanup()


def sync(base_url: str, folder: Path, *, at: datetime = AT, **settings: Any) -> CatalogueSync:
    return CatalogueSync(SyncSettings(base_url, folder, **settings), clock=lambda: at)


def row(identity: str, **more: Json) -> dict[str, Json]:
    return {"id": identity, "model": "atlas", **more}


def ids(catalogue: Catalogue) -> list[str]:
    return [route.id for route in catalogue.routes]


# -- the bundled snapshot --------------------------------------------------------------------------


def test_the_bundled_snapshot_holds_every_sourced_route():
    known = bundled()
    assert (len(known.routes), known.dropped, known.contradictory) == (44, 1, ())
    assert known.fetched_at == datetime(2026, 11, 22, tzinfo=UTC)
    assert not [route.id for route in known.routes if route.id.startswith("example")]


def test_gpt_image_1_has_its_published_posture():
    route = bundled().route("openai/gpt-image-1")
    assert route is not None
    words = {name: claim.words for name, claim in route.posture.items()}
    assert (route.provider, route.kind) == ("openai", "image")
    assert words["inference_location"] == "United States, US"
    assert words["training"] == "No training on customer data."
    assert "Enterprise contract" in words["retention.application_state"]
    assert "Abuse monitoring (30-day retention)" in words["retention.abuse_logs"]
    assert words["dpa"] == "DPA available"
    assert words["transfer_basis"] == "SCCs"
    # Nothing disclosed is not nothing given.
    assert (words["third_parties"], route.posture["third_parties"].basis) == ("None disclosed", Basis.UNKNOWN)


def test_what_no_source_says_is_unknown_in_the_snapshot():
    route = bundled().route("anthropic/claude-opus-5")
    assert route is not None
    assert {claim.basis for claim in route.posture.values()} == {Basis.UNKNOWN}
    assert (route.price.input, route.price.output) == (5, 25)


def test_zdr_twins_are_told_apart_by_their_slug_only():
    assert len(bundled().candidates("gpt-5.6-sol").routes) == 5
    assert bundled().candidates("azure-zdr/gpt-5.6-sol").reference is Reference.PIN


# -- loading and keeping ---------------------------------------------------------------------------


def test_without_anything_on_disk_the_snapshot_is_in_force(tmp_path):
    assert sync("http://127.0.0.1:1", tmp_path).load() == bundled()


async def test_a_fetched_catalogue_survives_a_restart(gateway, tmp_path):
    gateway.rows(row("a/atlas", country="Sweden"), row("b/atlas"))
    report = await sync(gateway.base_url, tmp_path).refresh()
    assert (report.replaced, report.code) == (True, "replaced")
    loaded = sync(gateway.base_url, tmp_path).load()
    assert loaded == report.catalogue
    assert (ids(loaded), loaded.fetched_at) == (["a/atlas", "b/atlas"], AT)


async def test_another_gateways_catalogue_is_not_taken_for_this_ones(gateway, tmp_path):
    gateway.rows(row("a/atlas"))
    await sync(gateway.base_url, tmp_path).refresh()
    assert sync("http://127.0.0.1:1", tmp_path).load() == bundled()


async def test_a_broken_file_on_disk_is_not_a_catalogue(gateway, tmp_path):
    gateway.rows(row("a/atlas"))
    await sync(gateway.base_url, tmp_path).refresh()
    file = tmp_path / "catalogue" / "current.json"
    whole = file.read_bytes()
    for broken in (
        b"",
        whole[:-5],
        b"[]",
        b"null",
        b'{"payload":{}}',
        b"\xff",
        whole.replace(b"a/atlas", b"atlas"),
    ):
        file.write_bytes(broken)
        assert read_kept(file) is None
        assert sync(gateway.base_url, tmp_path).load() == bundled()


async def test_files_are_replaced_whole_and_private(gateway, tmp_path):
    gateway.rows(row("a/atlas"))
    await sync(gateway.base_url, tmp_path).refresh()
    folder = tmp_path / "catalogue"
    assert [each.name for each in folder.iterdir()] == ["current.json"]
    assert (folder / "current.json").stat().st_mode & 0o777 == 0o600


async def test_the_catalogue_before_is_kept_for_comparison(gateway, tmp_path):
    under = sync(gateway.base_url, tmp_path)
    gateway.rows(row("a/atlas"))
    await under.refresh()
    gateway.rows(row("a/atlas"), row("b/atlas"))
    await under.refresh()
    await under.refresh()
    new, old = kept(tmp_path)
    assert new is not None
    assert old is not None
    assert (ids(new), ids(old)) == (["a/atlas", "b/atlas"], ["a/atlas"])


async def test_a_catalogue_that_cannot_be_written_is_in_force_all_the_same(gateway, tmp_path):
    (tmp_path / "catalogue").write_text("a file where the folder should be")
    gateway.rows(row("a/atlas"))
    under = sync(gateway.base_url, tmp_path)
    report = await under.refresh()
    assert (report.replaced, report.code, ids(under.catalogue)) == (True, "not_saved", ["a/atlas"])


async def test_numbers_beyond_64_bits_can_be_kept(gateway, tmp_path):
    gateway.body = b'{"models":[{"id":"a/b","n":123456789012345678901234567890}],"total":1}'
    assert (await sync(gateway.base_url, tmp_path).refresh()).code == "replaced"
    assert sync(gateway.base_url, tmp_path).load().route("a/b") is not None


# -- what is sent ----------------------------------------------------------------------------------


async def test_without_a_key_nothing_identifies_the_caller(gateway, tmp_path):
    gateway.rows(row("a/atlas"))
    await sync(gateway.base_url, tmp_path).refresh()
    assert gateway.seen[0].path_qs == "/v3/models?limit=0"
    assert {"Authorization", "Cookie"} & set(gateway.seen[0].headers) == set()


async def test_with_a_key_the_evidence_is_asked_for_too(gateway, tmp_path):
    gateway.rows(row("a/atlas"))
    await sync(gateway.base_url, tmp_path, key="op-secret").refresh()
    assert gateway.seen[0].path_qs == "/v3/models?limit=0&include=route,policy"
    assert gateway.seen[0].headers["Authorization"] == "Bearer op-secret"
    assert b"op-secret" not in (tmp_path / "catalogue" / "current.json").read_bytes()


def test_a_key_is_not_shown_by_its_settings(tmp_path):
    assert "op-secret" not in repr(SyncSettings("http://x", tmp_path, key="op-secret"))


async def test_proxy_variables_of_the_environment_are_ignored(gateway, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    gateway.rows(row("a/atlas"))
    assert (await sync(gateway.base_url, tmp_path).refresh()).replaced


# -- answers that change nothing -------------------------------------------------------------------

BAD: dict[str, tuple[str, int, bytes, dict[str, str]]] = {
    "not JSON": ("unparsable", 200, b"<html>", {}),
    "cut short": ("unparsable", 200, b'{"models":[{"id":"a/b"}', {}),
    "no envelope": ("unparsable", 200, b'[{"id":"a/b"}]', {}),
    "models is no list": ("unparsable", 200, b'{"models":{"id":"a/b"}}', {}),
    "a repeated key": ("unparsable", 200, b'{"models":[{"id":"a/b","id":"a/c"}],"total":1}', {}),
    "an unasked coding": ("unparsable", 200, b'{"models":[]}', {"Content-Encoding": "br"}),
    "nothing": ("unparsable", 200, b"", {}),
    "no row": ("empty", 200, b'{"models":[],"total":0}', {}),
    "no usable row": ("empty", 200, b'{"models":[{"id":"bare"}],"total":1}', {}),
    "one page of many": ("incomplete", 200, b'{"models":[{"id":"a/b"},{"id":"a/c"}],"total":100}', {}),
    "a redirect": ("redirect", 302, b"", {"Location": "http://127.0.0.1:9/"}),
    "no key wanted": ("refused", 401, b"{}", {}),
    "an error": ("status", 503, b"{}", {}),
    "no content": ("status", 204, b"", {}),
}


@pytest.mark.parametrize(("code", "status", "body", "headers"), BAD.values(), ids=BAD)
async def test_a_bad_answer_leaves_the_last_good_catalogue(gateway, tmp_path, code, status, body, headers):
    under = sync(gateway.base_url, tmp_path)
    gateway.rows(row("a/atlas"), row("b/atlas"))
    good = (await under.refresh()).catalogue
    gateway.status, gateway.body, gateway.headers = status, body, headers
    report = await under.refresh()
    assert (report.replaced, report.code, report.catalogue, report.changes) == (False, code, good, None)
    assert under.catalogue == good
    assert sync(gateway.base_url, tmp_path).load() == good
    assert len(gateway.seen) == 2


async def test_numbers_without_end_are_read_as_the_worst_that_they_can_mean(gateway, tmp_path):
    gateway.body = (
        b'{"models":[{"id":"a/b","compliance":{"logging":{"summary":"none","retention_days":1e999}}}],"total":1}'
    )
    report = await sync(gateway.base_url, tmp_path).refresh()
    assert (report.replaced, len(report.catalogue.routes)) == (True, 1)


async def test_rows_that_cannot_be_read_at_all_leave_the_last_good_catalogue(gateway, tmp_path, monkeypatch):
    gateway.rows(row("a/atlas"))
    under = sync(gateway.base_url, tmp_path)
    good = (await under.refresh()).catalogue
    monkeypatch.setattr("proxy.catalogue_sync.read_catalogue", lambda *_, **__: 1 // 0)
    report = await under.refresh()
    assert (report.replaced, report.code, report.catalogue) == (False, "unparsable", good)


async def test_less_than_half_the_routes_are_not_believed_unless_told_so(gateway, tmp_path):
    under = sync(gateway.base_url, tmp_path)
    gateway.rows(*(row(f"a/{n}") for n in range(10)))
    await under.refresh()
    gateway.rows(*(row(f"a/{n}") for n in range(4)))
    assert (await under.refresh()).code == "shrunk"
    report = await under.refresh(accept_smaller=True)
    assert report.replaced
    assert report.changes is not None
    assert len(report.changes.gone) == 6


async def test_half_the_routes_are_believed(gateway, tmp_path):
    under = sync(gateway.base_url, tmp_path)
    gateway.rows(*(row(f"a/{n}") for n in range(10)))
    await under.refresh()
    gateway.rows(*(row(f"a/{n}") for n in range(5)))
    assert (await under.refresh()).replaced


async def test_an_answer_beyond_the_limit_is_given_up(gateway, tmp_path):
    gateway.rows(*(row(f"a/{n}") for n in range(1000)))
    report = await sync(gateway.base_url, tmp_path, max_bytes=1000).refresh()
    assert (report.replaced, report.code) == (False, "too_large")


async def test_a_gateway_that_is_not_there_is_reported(tmp_path):
    report = await sync("http://127.0.0.1:1", tmp_path).refresh()
    assert (report.replaced, report.code, report.catalogue) == (False, "unreachable", bundled())
    assert "base URL" in report.message


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path, unknown_certificate):
    gateway = Gateway()
    gateway.rows(row("a/atlas"))
    runner = web.ServerRunner(web.Server(gateway.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=unknown_certificate).start()
    base_url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    strict = await sync(base_url, tmp_path).refresh()
    told = await sync(base_url, tmp_path, ca_file=tmp_path / "certificate.pem").refresh()
    await runner.cleanup()
    assert (strict.code, told.code, len(gateway.seen)) == ("unreachable", "replaced", 1)


@pytest.fixture
def unknown_certificate(tmp_path):
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    return context


# -- against the simulator -------------------------------------------------------------------------


async def test_the_simulators_catalogue_has_compliant_and_other_routes(tmp_path):
    async with Simulator() as simulator:
        keyed = await sync(simulator.base_url, tmp_path, key="op-test").refresh()
        keyless = await sync(simulator.base_url, tmp_path / "keyless").refresh()
    good, bad = keyed.catalogue.route("example-us/atlas-1"), keyed.catalogue.route("example-open/atlas-1")
    assert good is not None
    assert bad is not None
    assert (good.posture["training"].value, bad.posture["training"].value) == ("never", "allowed")
    assert good.verified_at is not None
    assert keyless.catalogue.routes[0].verified_at is None
    assert keyed.catalogue.dropped == 0
    pool = {route.id for route in keyed.catalogue.candidates("atlas-1").routes}
    assert {"example-us/atlas-1", "example-eu/atlas-1", "example-open/atlas-1", "example-ww/atlas-1"} == pool


async def test_a_posture_that_slips_is_reported_as_worse(tmp_path):
    async with Simulator() as simulator:
        under = sync(simulator.base_url, tmp_path)
        await under.refresh()
        simulator.rows.patch(
            "example-us/atlas-1", {"compliance": {"training": True, "zdr": {"training": True}}}
        )
        simulator.rows.patch("example-us/solo-1", None)
        report = await under.refresh()
    assert report.changes is not None
    assert [(each.route, each.dimension) for each in report.changes.worse] == [
        ("example-us/atlas-1", "training")
    ]
    assert report.changes.gone == ("example-us/solo-1",)


@pytest.mark.parametrize("kind", ["reset", "close", "status", "redirect", "gzip", "refused"])
async def test_a_fault_on_the_way_leaves_the_last_good_catalogue(tmp_path, kind):
    async with Simulator() as simulator:
        under = sync(simulator.base_url, tmp_path)
        good = (await under.refresh()).catalogue
        simulator.faults.add(Fault(kind, after=100))
        report = await under.refresh()
    assert not report.replaced
    assert under.catalogue == good
