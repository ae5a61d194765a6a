"""the only place that constructs running parts"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from proxy.breaker import Breaker
from proxy.catalogue_sync import CatalogueSync, SyncSettings
from proxy.config import GatewayKeys, Settings, read_gateway_keys
from proxy.core.record import Recorder
from proxy.disk import Disk
from proxy.evidence import Evidence
from proxy.facts import read_facts
from proxy.forward import Forward, Upstream
from proxy.gateway import Gateway
from proxy.journal import Clock, Journal, Program, audit_folder, build_feeds, load_pseudonyms
from proxy.keys import open_keys
from proxy.limits import Limits
from proxy.logs import logger
from proxy.metrics import Metrics
from proxy.pipeline import Parts, Pipeline
from proxy.revisions import Reload, Revisions, Sources
from proxy.server import Front
from proxy.shares import Shares, shares_file
from proxy.sinks.feed import Feed
from proxy.sources import (
    Quarantine,
    catalogue_source,
    contract_source,
    key_source,
    policy_source,
)
from proxy.spend import SpendLedger
from proxy.traces import Traces, open_traces

BREAKER_THRESHOLD = 10
BREAKER_SPAN = 1.0
BREAKER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one worker process, put together and not yet listening."""

    settings: Settings
    journal: Journal
    revisions: Revisions
    quarantine: Quarantine
    gateway: Gateway
    breaker: Breaker
    metrics: Metrics
    limits: Limits
    ledger: SpendLedger
    front: Front
    sync: CatalogueSync
    feeds: list[Feed]
    disk: Disk
    traces: Traces | None


def version() -> str:
    """The program's version, as records and logs name it."""
    return f"ringfence/{metadata.version('ringfence')}"


def read_sources(settings: Settings, quarantine: Quarantine) -> tuple[Sources, bytes]:
    """Where revisions come from, and the pepper of the caller keys."""
    facts = read_facts()
    keys = open_keys(settings.keys_file, settings.pepper_file, pepper_env=settings.keys.pepper_env)
    contracts_file = Path(settings.attestations.file)
    sources = Sources(
        policies=policy_source(settings.policies.paths, facts.countries),
        contracts=contract_source(contracts_file, facts.countries),
        callers=key_source(keys),
        catalogue=catalogue_source(settings.data_dir, settings.gateway.base_url),
        quarantine=quarantine.source(),
        contracts_file=contracts_file,
        facts=facts,
        max_age=timedelta(seconds=settings.catalog.max_age),
    )
    return sources, keys.pepper


def read_sync(settings: Settings, keys: GatewayKeys) -> CatalogueSync:
    """What fetches the catalogue."""
    ca_file = settings.gateway.ca_file
    return CatalogueSync(
        SyncSettings(
            settings.gateway.base_url,
            settings.data_dir,
            key=keys.default or "",
            ca_file=Path(ca_file) if ca_file else None,
            allow_private_addresses=settings.gateway.allow_private_addresses,
        )
    )


def assemble(settings: Settings, *, worker: str = "w0") -> Assembly:
    """Put a worker together. Raises `Mistakes`, `Mistake` or `JournalUnavailable` when it cannot start."""
    gateway_keys = read_gateway_keys(settings.gateway)
    quarantine = Quarantine(settings.data_dir)
    sources, pepper = read_sources(settings, quarantine)
    program = Program(version(), settings.unsafe)
    journal = Journal.open(settings.audit, settings.data_dir, worker=worker, program=program)
    metrics = Metrics()
    evidence = _evidence(settings, journal)
    evidence.traces = _traces(settings, worker)
    revisions = Revisions(sources, quarantine, _reporter(evidence, metrics))
    gateway = Gateway(settings.gateway)
    breaker = Breaker(threshold=BREAKER_THRESHOLD, span=BREAKER_SPAN, pause=BREAKER_SECONDS)
    upstream = Upstream(gateway, breaker, _upstream_keys(gateway_keys), revisions.quarantine)
    limits = Limits(settings.limits, _shares(settings, worker))
    pipeline = Pipeline(
        Parts(
            revisions=revisions,
            evidence=evidence,
            forward=Forward(upstream, evidence, metrics),
            limits=limits,
            metrics=metrics,
            pepper=pepper,
        )
    )
    front = Front(pipeline, settings.listen)
    sync = read_sync(settings, gateway_keys)
    return Assembly(
        settings=settings,
        journal=journal,
        revisions=revisions,
        quarantine=quarantine,
        gateway=gateway,
        breaker=breaker,
        metrics=metrics,
        limits=limits,
        ledger=SpendLedger(settings.data_dir, worker),
        front=front,
        sync=sync,
        feeds=build_feeds(audit_folder(settings.data_dir), settings.sinks.wanted()),
        disk=Disk(audit_folder(settings.data_dir), settings.audit.low_disk),
        traces=evidence.traces,
    )


def _shares(settings: Settings, worker: str) -> Shares | None:
    """What the workers share of their counts; nothing when there is one worker or no limit."""
    if settings.workers == 1 or not settings.limits:
        return None
    own = int(worker.removeprefix("w"))
    return Shares(shares_file(settings.data_dir), settings.limits, workers=settings.workers, own=own)


def _evidence(settings: Settings, journal: Journal) -> Evidence:
    key_file = settings.audit.pseudonym_key_file or audit_folder(settings.data_dir) / "pseudonym.key"
    recorder = Recorder(load_pseudonyms(Path(key_file)), version())
    host, most = _gateway_host(settings), settings.audit.max_queue
    return Evidence(journal, recorder, Clock(), host=host, most_waiting=most)


def _traces(settings: Settings, worker: str) -> Traces | None:
    instance = f"{settings.audit.deployment}/{settings.audit.replica}/{worker}"
    return open_traces(settings.traces, version=version(), instance=instance, host=_gateway_host(settings))


def _gateway_host(settings: Settings) -> str:
    return settings.gateway.base_url.partition("://")[2].partition("/")[0]


def _reporter(evidence: Evidence, metrics: Metrics) -> Callable[[Reload], None]:
    """What happens at each load: a record, a log line, a count."""

    def report(reload: Reload) -> None:
        evidence.loaded(reload)
        metrics.loads.add("policies", "refused" if reload.mistakes else "loaded")
        for mistake in reload.mistakes:
            logger().error(
                "revision_refused",
                file=mistake.file,
                line=mistake.line,
                column=mistake.column,
                mistake=mistake.message,
                active=reload.revision.digest,
            )
        if not reload.mistakes:
            logger().info(
                "revision_active",
                revision=reload.revision.digest,
                policies=len(reload.revision.policies),
                routes=len(reload.revision.catalogue.routes),
            )

    return report


def _upstream_keys(keys: GatewayKeys) -> dict[str, bytes]:
    found = {project: key.encode() for project, key in keys.projects.items()}
    return {"": keys.default.encode(), **found} if keys.default else found
