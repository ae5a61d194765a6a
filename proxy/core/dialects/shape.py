"""whose error shape answers a request that named no operation"""

from __future__ import annotations

from proxy.core.dialects import DIALECTS, Dialect
from proxy.core.values import Match, RawRequest

_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
_SIGNS = ((b"anthropic-version", "anthropic"), (b"x-goog-api-key", "google"))
_PLACES = (("/v1/messages", "anthropic"), ("/v1beta/", "google"), ("/v3/images", "opper"))


def shape_of(raw: RawRequest, match: Match | None) -> Dialect:
    """The matched dialect; else the one that path and headers hint at; else OpenAI, which most read."""
    if match is not None:
        return _BY_NAME[match.endpoint.dialect]
    path = raw.path.removeprefix("/v3/compat")
    hinted = [name for prefix, name in _PLACES if path.startswith(prefix)]
    hinted += [name for header, name in _SIGNS if header in raw.fields.first]
    return _BY_NAME[next((name for name in hinted if name in _BY_NAME), "openai")]
