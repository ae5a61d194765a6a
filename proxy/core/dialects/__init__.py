"""ADD AN SDK DIALECT HERE: openai, anthropic, google, opper"""

from proxy.core.dialects import anthropic, google, openai, opper
from proxy.core.dialects.base import Dialect, Tables

DIALECTS: tuple[Dialect, ...] = (openai.DIALECT, anthropic.DIALECT, google.DIALECT, opper.DIALECT)
"""Every dialect; the first words a refusal where nothing tells which SDK is asking."""

__all__ = ["DIALECTS", "Dialect", "Tables"]
