"""checks of what an operator wrote: settings, secrets, keys, policies, contracts, and the catalogue's age"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from proxy.config import Settings, read_gateway_keys
from proxy.core.callers import CallerTable
from proxy.core.policy import applicable
from proxy.doctor.finding import Check, Finding, fail, ok, warn
from proxy.facts import read_facts
from proxy.keys import open_keys
from proxy.private_files import read_private
from proxy.sources import catalogue_source, contract_source, key_source, policy_source, with_contracts

_SOON = timedelta(days=30)


def file_checks(settings: Settings, environ: Mapping[str, str], at: datetime) -> Iterator[Check]:
    """Every check of this kind."""
    yield Check("settings", partial(_settings, settings))
    yield Check("gateway key", partial(_gateway_key, settings, environ))
    yield Check("secrets", partial(_secrets, settings))
    yield Check("caller keys", partial(_caller_keys, settings, environ))
    yield Check("policies", partial(_policies, settings, environ))
    yield Check("attestations", partial(_contracts, settings, at))
    yield Check("catalogue", partial(_catalogue, settings, at))


def _settings(settings: Settings) -> Iterator[Finding]:
    if not settings.unsafe:
        yield ok("settings", "no mistakes")
    for name in settings.unsafe:
        yield warn("settings", f"{name} weakens what Ringfence promises", f"Take {name} out.")


def _gateway_key(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    keys = read_gateway_keys(settings.gateway, environ)
    whose = ", ".join(sorted(keys.projects)) or "every project"
    yield ok("gateway key", f"there is one for {whose}{' and a common one' if keys.projects else ''}")


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Modes of every file with a secret that is there; what is not there is made at the first start."""
    audit = settings.data_dir / "audit"
    wanted = [
        None if settings.keys.pepper_env else settings.pepper_file,
        settings.keys_file,
        settings.audit.signing_key_file or audit / "signing.key",
        settings.audit.pseudonym_key_file or audit / "pseudonym.key",
        settings.listen.tls_key_file,
    ]
    files = [Path(file) for file in wanted if file is not None and Path(file).exists()]
    for file in files:
        read_private(file)
    yield ok("secrets", f"{len(files)} files closed to others" if files else "made at the first start")


def _callers(settings: Settings, environ: Mapping[str, str]) -> CallerTable | None:
    """The keys in force; None where the first start has yet to make the files."""
    if not settings.keys_file.exists():
        return None
    pepper_env = settings.keys.pepper_env
    keys = open_keys(settings.keys_file, settings.pepper_file, pepper_env=pepper_env, environ=environ)
    return key_source(keys).value()


def _caller_keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    table = _callers(settings, environ)
    if table is None or not table.entries:
        yield warn(
            "caller keys",
            "nobody has a key, so every request is refused",
            "Run `ringfence keys create --project NAME`, or `keys adopt` for a key that clients hold.",
        )
        return
    projects = {caller.project for caller in table.entries.values()}
    yield ok("caller keys", f"{len(table.entries)} in force, of {len(projects)} projects")


def _policies(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    countries, contracts_file = read_facts().countries, Path(settings.attestations.file)
    contracts = contract_source(contracts_file, countries).value()
    policies = policy_source(settings.policies.paths, countries).value()
    policies = with_contracts(policies, contracts, contracts_file)
    yield ok("policies", ", ".join(str(policy.id) for policy in policies))
    table = _callers(settings, environ)
    bare = (
        {caller.project for caller in table.entries.values() if not applicable(policies, caller)}
        if table
        else ()
    )
    for project in sorted(bare):
        yield warn(
            "policies",
            f"no policy applies to keys of {project}, so all their requests are refused",
            f"Name {project} under applies_to.projects of a policy.",
        )


def _contracts(settings: Settings, at: datetime) -> Iterator[Finding]:
    file = Path(settings.attestations.file)
    contracts = contract_source(file, read_facts().countries).value()
    ends = [("attestation", each.id, each.verified_at, each.valid_until) for each in contracts.attestations]
    ends += [("waiver", each.id, each.approved_at, each.valid_until) for each in contracts.waivers]
    lapsing = [each for each in map(partial(_lapse, at), ends) if each is not None]
    if not lapsing:
        yield ok(
            "attestations", f"{len(ends)} in {file}" if ends else f"none; {file} holds what contracts say"
        )
    yield from lapsing


def _lapse(at: datetime, one: tuple[str, str, datetime, datetime]) -> Finding | None:
    kind, name, begins, ends = one
    if begins > at:
        return warn(
            "attestations", f"{kind} {name} does not hold before {begins:%Y-%m-%d}", "Check its date."
        )
    if ends <= at:
        says = f"{kind} {name} ended on {ends:%Y-%m-%d}; what rested on it is refused"
        return warn("attestations", says, "Verify it anew and set valid_until, or take it out.")
    if ends - at > _SOON:
        return None
    days = (ends - at).days
    says = f"{kind} {name} ends in {days} days, on {ends:%Y-%m-%d}; what rests on it is refused then"
    return warn("attestations", says, "Verify it anew and set valid_until.")


def _catalogue(settings: Settings, at: datetime) -> Iterator[Finding]:
    found = catalogue_source(settings.data_dir, settings.gateway.base_url).value()
    age = at - found.fetched_at
    says = f"{len(found.routes)} routes from {found.source}, {_hours(age)} old"
    if age < -timedelta(minutes=5):
        when = f"{found.fetched_at:%Y-%m-%d %H:%M} UTC"
        yield fail(
            "catalogue", f"it was fetched at {when}, which is yet to come", "Set this machine's clock."
        )
    elif age > timedelta(seconds=settings.catalog.max_age):
        yield warn("catalogue", f"{says}: all its claims count as unknown",
                   "Run `ringfence catalog sync`; serve fetches it by itself.")  # fmt: skip
    else:
        yield ok("catalogue", says)


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{age.days} days"
