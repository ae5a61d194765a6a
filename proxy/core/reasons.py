"""the fixed vocabulary of reason codes: status, meaning, and what to do next

Every refusal, record and metric names exactly one of these codes, so the set is closed: a code that
is not in `REASONS` cannot be looked up, and a test compares the set with the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request was not served as asked.

    `status` is the HTTP status of the answer, or 0 where the code only ever stands in a record.
    `retry` tells whether the very same request may succeed later without anybody changing anything.
    """

    code: str
    status: int
    retry: bool
    meaning: str
    advice: str


_POLICY = (
    Reason(
        "no_matching_policy",
        403,
        False,
        "No policy covers this caller, and without a policy nothing is allowed.",
        "Ask the policy owner to name this organisation, project or key in a policy's applies_to.",
    ),
    Reason(
        "requirement_unmet",
        403,
        False,
        "The route is known not to meet at least one requirement of a policy.",
        "Use one of the compliant routes named, or bring what the remedies name.",
    ),
    Reason(
        "requirement_unknown",
        403,
        False,
        "Nobody has established whether the route meets a requirement, and unknown is never enough.",
        "Use one of the compliant routes named, or have the missing fact attested.",
    ),
    Reason(
        "feature_refused",
        403,
        False,
        "The request uses a feature that a policy does not let pass.",
        "Leave the named feature out of the request, or ask the policy owner to allow it.",
    ),
    Reason(
        "unknown_model",
        403,
        False,
        "The model is not in the catalogue, so nothing is known about where it would run.",
        "Write a model id exactly as the model list shows it.",
    ),
    Reason(
        "model_not_pinned",
        403,
        False,
        "The model reference leaves the choice of route to the gateway, so its posture cannot be known.",
        "Write one route as provider/model.",
    ),
    Reason(
        "no_compliant_route",
        403,
        False,
        "The model has several routes and none of them meets every requirement.",
        "Use one of the compliant routes named, or bring what the remedies name.",
    ),
    Reason(
        "route_quarantined",
        403,
        False,
        "The gateway said that another route than the approved one had served this one's requests.",
        "Use another route until a catalogue sync or an operator clears it.",
    ),
    Reason(
        "catalogue_stale",
        403,
        False,
        "The route catalogue is older than its allowed age, so every claim in it counts as unknown.",
        "Ask the operator to sync the catalogue: ringfence catalog sync.",
    ),
    Reason(
        "routing_member",
        403,
        False,
        "The request carries a member that can change who serves it, and no rule judges that member.",
        "Leave the named member out.",
    ),
    Reason(
        "served_mismatch",
        403,
        False,
        "The gateway says that another route than the approved one served the request; its answer was "
        "not relayed.",
        "Do not send it again: the content has reached the other route. Tell the operator.",
    ),
    Reason(
        "not_confirmed",
        403,
        False,
        "The policy asks the gateway to confirm which route served, and it did not; its answer was not "
        "relayed.",
        "Do not send it again. Ask the policy owner about require_confirmation.",
    ),
    Reason(
        "refused_by_upstream",
        0,
        False,
        "The gateway's own rules refused the request; its answer was relayed as it came.",
        "Read the gateway's answer.",
    ),
)

_READING = (
    Reason(
        "unreadable_json",
        400,
        False,
        "The body is not JSON with exactly one reading.",
        "Send plain UTF-8 JSON without a byte order mark, NaN, lone surrogates or trailing data.",
    ),
    Reason(
        "duplicate_key",
        400,
        False,
        "An object in the body names the same member twice.",
        "Send each member once.",
    ),
    Reason(
        "too_deep",
        400,
        False,
        "The body's arrays and objects are nested deeper than every reader can be trusted to follow.",
        "Nest the body less deeply.",
    ),
    Reason(
        "too_many_members",
        400,
        False,
        "The body has more members than the proxy reads.",
        "Send a smaller request.",
    ),
    Reason(
        "number_out_of_range",
        400,
        False,
        "A number in the body is too large for a 64-bit float, so readers take it differently.",
        "Send a smaller number.",
    ),
    Reason(
        "ambiguous_member",
        400,
        False,
        "A member's name equals a known one only after case folding or Unicode normalisation.",
        "Spell the member exactly as the API documents it.",
    ),
    Reason(
        "unknown_member",
        400,
        False,
        "The body has a member that the tables do not know, so nobody has judged what it does to data.",
        "Leave the member out, or ask the policy owner to set unknown_members: drop.",
    ),
    Reason(
        "unknown_value",
        400,
        False,
        "A member that decides what happens to data has a value that the tables do not know.",
        "Send a documented value, or ask the operator for a version whose tables know this one.",
    ),
    Reason(
        "wrong_type",
        400,
        False,
        "A member that the decision relies on has the wrong type.",
        "Send the member with the type that the API documents.",
    ),
    Reason(
        "missing_member",
        400,
        False,
        "A member that the decision relies on is missing.",
        "Send the member that the message names.",
    ),
    Reason(
        "unsupported_media_type",
        415,
        False,
        "The content type is not the one that this endpoint takes.",
        "Send application/json, or multipart/form-data where the endpoint takes files.",
    ),
    Reason(
        "content_coding",
        415,
        False,
        "The body is compressed, and a compressed body can be read in more than one way.",
        "Send the body without Content-Encoding.",
    ),
    Reason(
        "body_too_large",
        413,
        False,
        "The body is larger than the configured limit.",
        "Send a smaller request, or ask the operator to raise the limit.",
    ),
    Reason(
        "bad_request_target",
        400,
        False,
        "The request target can be read as more than one path.",
        "Send the path exactly as the API documents it.",
    ),
    Reason(
        "bad_request",
        400,
        False,
        "The request's head is malformed.",
        "Use a current HTTP client.",
    ),
    Reason(
        "http_version",
        505,
        False,
        "The proxy speaks HTTP/1.1 only.",
        "Use a current HTTP client.",
    ),
    Reason(
        "upgrade_refused",
        400,
        False,
        "The connection asks to change its protocol, and what follows could not be judged.",
        "Use the plain HTTP API; streams come as server-sent events.",
    ),
    Reason(
        "unknown_host",
        421,
        False,
        "The Host header names a host that this proxy does not serve.",
        "Use the proxy's own name, or ask the operator to add the name to listen.hosts.",
    ),
    Reason(
        "body_timeout",
        408,
        True,
        "The body did not arrive in time.",
        "Send the request again on a faster connection.",
    ),
    Reason(
        "bad_request_body",
        400,
        False,
        "The body's framing is broken.",
        "Use a current HTTP client.",
    ),
    Reason(
        "unknown_endpoint",
        404,
        False,
        "The proxy does not offer this path.",
        "See the README for the paths that each SDK uses.",
    ),
    Reason(
        "method_not_allowed",
        405,
        False,
        "The path exists, but not with this method.",
        "Use the method that the API documents.",
    ),
)

_CREDENTIALS = (
    Reason(
        "no_credential",
        401,
        False,
        "The request carries no key.",
        "Send a Ringfence key where your SDK puts its API key.",
    ),
    Reason(
        "unknown_key",
        401,
        False,
        "The key is not registered here, or it was revoked.",
        "Ask the operator for a key: ringfence keys create.",
    ),
    Reason(
        "conflicting_credentials",
        400,
        False,
        "The request carries two different keys.",
        "Send one key in one place.",
    ),
)

_OPERATION = (
    Reason(
        "rate_limited",
        429,
        True,
        "A limit of this key, project or organisation is used up.",
        "Wait as long as Retry-After says.",
    ),
    Reason(
        "overloaded",
        503,
        True,
        "The proxy has as much in hand as it may hold.",
        "Wait as long as Retry-After says.",
    ),
    Reason(
        "audit_unavailable",
        503,
        True,
        "The audit log cannot be written, and nothing is forwarded unrecorded.",
        "Tell the operator; ringfence doctor says what is wrong.",
    ),
    Reason(
        "upstream_unreachable",
        502,
        True,
        "The gateway could not be reached.",
        "Try again later.",
    ),
    Reason(
        "upstream_timeout",
        504,
        True,
        "The gateway did not answer in time.",
        "Try again later.",
    ),
    Reason(
        "upstream_broke_off",
        502,
        True,
        "The gateway ended its answer before it was complete.",
        "Try again later.",
    ),
    Reason(
        "proxy_fault",
        503,
        False,
        "The proxy met an error of its own and refused rather than guess.",
        "Tell the operator the decision id.",
    ),
)

REASONS: Mapping[str, Reason] = MappingProxyType(
    {r.code: r for r in (*_POLICY, *_READING, *_CREDENTIALS, *_OPERATION)}
)


def reason(code: str) -> Reason:
    """Look a code up; an unlisted one is a programming error and reads as `proxy_fault`."""
    return REASONS.get(code) or REASONS["proxy_fault"]
