"""the journal's settings"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from proxy.settings import HOUR, MB, MINUTE, Section
from proxy.spellings import Duration, FilePath, Size

LogName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Records = Annotated[int, Field(ge=1)]


class JournalSettings(Section):
    """The audit log: without a durable record nothing is forwarded."""

    model_config = ConfigDict(frozen=True)

    deployment: LogName = Field(
        "ringfence",
        description="Name of this deployment; first part of every log's id and the signing key's.",
    )
    replica: LogName = Field(
        "r0", description="Name of this instance, stable across restarts and unlike that of any other."
    )
    max_queue: Records = Field(2000, description="Records that may wait; above it, requests get 503.")
    max_wait: Duration = Field(
        2.0, description="Longest a record may wait for the disk before requests get 503."
    )
    checkpoint_every: Records = Field(1000, description="Records after which the log's head is signed.")
    checkpoint_interval: Duration = Field(
        MINUTE, description="Longest time that records stay without a signed head."
    )
    heartbeat_interval: Duration = Field(
        HOUR,
        description="Silence after which a heartbeat is recorded, so that silence can be told from deletion.",
    )
    retry_interval: Duration = Field(1.0, description="How often a failed disk is tried again.")
    reserve_bytes: Size = Field(
        64 * MB, description="Disk space held back, so that a full disk does not cost the outcomes in flight."
    )
    low_disk: Size = Field(
        2000 * MB,
        description="Free disk space below which an alarm is raised; on a larger disk, 5 % of it up to five"
        " times this. Requests are refused only when the disk is full.",
    )
    rejects_per_second: Records = Field(
        20, description="Records per second about unauthenticated input; what exceeds it is counted in one."
    )
    verify_at_start: Records = Field(
        50_000, description="Newest records of the previous log that are read and verified at start."
    )
    signing_key_file: FilePath | None = Field(
        None,
        description="Key that signs the log's heads, made on first use;"
        " by default audit/signing.key in data_dir.",
    )
    pseudonym_key_file: FilePath | None = Field(
        None,
        description="Secret under which content and addresses are committed to, made on first use;"
        " by default audit/pseudonym.key in data_dir.",
    )
