"""how a policy treats what a request's features do to data: allow, rewrite or refuse

Every signal has a default, so that a policy which does not name it is not undefined. Some defaults
depend on what else the policy requires: a cache matters only where caches are limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from proxy.core.values import Signal


class Treatment(StrEnum):
    """What happens to a request that uses a feature. A rewrite that nobody knows is a refusal."""

    ALLOW = "allow"
    REWRITE = "rewrite"
    REFUSE = "refuse"


SEVERITY: Mapping[Treatment, int] = MappingProxyType(
    {Treatment.ALLOW: 0, Treatment.REWRITE: 1, Treatment.REFUSE: 2}
)


@dataclass(frozen=True, slots=True)
class Default:
    """What happens where a policy does not name the signal.

    `stricter` applies instead of `treatment` when the policy requires anything on one of the
    dimensions in `when` (`name` or `name=asked`).
    """

    treatment: Treatment
    why: str
    when: tuple[str, ...] = ()
    stricter: Treatment = Treatment.REFUSE


_ALLOW, _REWRITE, _REFUSE = Treatment.ALLOW, Treatment.REWRITE, Treatment.REFUSE

DEFAULTS: Mapping[Signal, Default] = MappingProxyType(
    {
        Signal.APP_STATE: Default(_REWRITE, "storing is often on by default and rarely meant"),
        Signal.STATEFUL_REFERENCE: Default(_REFUSE, "what a stored object holds cannot be judged"),
        Signal.THIRD_PARTY_EGRESS: Default(_REFUSE, "content would reach somebody whom no policy names"),
        Signal.HOSTED_TOOL: Default(_REFUSE, "the provider would run a tool outside the judged route"),
        Signal.MODEL_OVERRIDE: Default(_REWRITE, "another model than the judged one would answer"),
        Signal.RESIDENCY: Default(
            _ALLOW,
            "it matters where places are limited",
            when=("inference_location", "storage_location"),
            stricter=_REWRITE,
        ),
        Signal.CACHE: Default(
            _ALLOW, "it matters where caches are limited", when=("retention.cache",), stricter=_REWRITE
        ),
        Signal.HUMAN_REVIEW: Default(
            _ALLOW,
            "people read what a safety check flags; it matters where nobody may",
            when=("human_review=forbidden",),
        ),
        Signal.ABUSE_LOG: Default(_ALLOW, "the route's own retention.abuse_logs speaks for it"),
        Signal.TRAINING: Default(
            _ALLOW, "it matters where training is limited", when=("training",), stricter=_REWRITE
        ),
        Signal.IDENTIFIER: Default(_ALLOW, "the caller chooses what to call its users"),
        Signal.CLIENT_TELEMETRY: Default(
            _REWRITE, "a program reports on its user's machine, and no answer depends on it"
        ),
        Signal.SCHEMA_LEAK: Default(
            _ALLOW,
            "schema text counts as system data; it matters where schema_text is not accepted",
            when=("carve_outs:schema_text",),
            stricter=_REWRITE,
        ),
        Signal.BIOMETRIC: Default(_REFUSE, "voices and faces are a special category of personal data"),
        Signal.OPAQUE_CONTENT: Default(_REFUSE, "what cannot be read cannot be judged"),
        Signal.UNKNOWN_MEMBER: Default(_REFUSE, "nobody has judged the member; see unknown_members"),
    }
)


def treatments(
    written: Mapping[Signal, Treatment], required: frozenset[str], missing_carve_outs: frozenset[str]
) -> Mapping[Signal, Treatment]:
    """Settle every signal: as written, else by its default.

    `required` holds the dimensions that are limited, each as `name` and as `name=asked`.
    """
    conditions = required | {f"carve_outs:{name}" for name in missing_carve_outs}
    settled = {signal: _settle(default, conditions) for signal, default in DEFAULTS.items()}
    return MappingProxyType({**settled, **written})


def _settle(default: Default, conditions: frozenset[str]) -> Treatment:
    return default.stricter if conditions.intersection(default.when) else default.treatment
