"""the audit log's single writer: number, seal, make durable, checkpoint, fan out

`Journal.append` returns once a record is on stable storage, and raises otherwise; nothing is forwarded
without its Receipt. One thread writes: whatever waits when it is free becomes one batch, one commit, one
sync. Nothing waits for a timer.
"""

from proxy.journal.clock import Clock
from proxy.journal.fanout import build_feeds
from proxy.journal.front import Journal, audit_folder
from proxy.journal.settings import JournalSettings
from proxy.journal.signing import load_own_signer, load_pseudonyms, load_signer
from proxy.journal.start import Program
from proxy.stores.base import LogId

__all__ = [
    "Clock",
    "Journal",
    "JournalSettings",
    "LogId",
    "Program",
    "audit_folder",
    "build_feeds",
    "load_own_signer",
    "load_pseudonyms",
    "load_signer",
]
