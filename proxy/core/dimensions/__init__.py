"""ADD A POSTURE DIMENSION HERE: one file, one line in `DIMENSIONS`

The policy schema, the reading of catalogue rows, findings, explanations, documentation and contract
tests are derived from the two tuples. Dimensions do not import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from proxy.core.dimensions.base import Dimension, Judgement, Misread, NoDemand, Requirement
from proxy.core.dimensions.dpa import Dpa
from proxy.core.dimensions.evidence import Evidence
from proxy.core.dimensions.gateway import GatewayLocation, GatewayRetention
from proxy.core.dimensions.human_review import HumanReview
from proxy.core.dimensions.inference_location import InferenceLocation
from proxy.core.dimensions.retention_abuse_logs import RetentionAbuseLogs
from proxy.core.dimensions.retention_application_state import RetentionApplicationState
from proxy.core.dimensions.retention_cache import RetentionCache
from proxy.core.dimensions.storage_location import StorageLocation
from proxy.core.dimensions.third_parties import ThirdParties
from proxy.core.dimensions.training import Training
from proxy.core.dimensions.transfer_basis import TransferBasis
from proxy.core.values import Json, Posture

__all__ = [
    "DIMENSIONS",
    "GATEWAY_DIMENSIONS",
    "Dimension",
    "Judgement",
    "Misread",
    "NoDemand",
    "Requirement",
    "posture",
]

DIMENSIONS: tuple[Dimension, ...] = (
    InferenceLocation(),
    StorageLocation(),
    Training(),
    RetentionApplicationState(),
    RetentionAbuseLogs(),
    RetentionCache(),
    HumanReview(),
    ThirdParties(),
    Dpa(),
    TransferBasis(),
    Evidence(),
)
"""What a policy may require of a route."""

GATEWAY_DIMENSIONS: tuple[Dimension, ...] = (GatewayLocation(), GatewayRetention())
"""What a policy may require of the gateway itself; findings name them `gateway.<name>`."""

BY_NAME: Mapping[str, Dimension] = MappingProxyType({d.name: d for d in DIMENSIONS})
GATEWAY_BY_NAME: Mapping[str, Dimension] = MappingProxyType({d.name: d for d in GATEWAY_DIMENSIONS})


def posture(row: Mapping[str, Json]) -> Posture:
    """Read what a catalogue row claims on every dimension."""
    return MappingProxyType({d.name: d.read(row) for d in DIMENSIONS})
