"""
What proxies and controllers say to each other.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.names import BackendName
from protocol.routes import BackendRemoved, RouteInfoRequest, RouteInfoResponse, RoutePending, TokensRevoked
from protocol.spawn import Count, Text
from protocol.tagging import OneOf


class SetTxtRecord(msgspec.Struct, frozen=True):
    """Publish this challenge value under the cluster."""

    txt_value: Text


class PutCertificate(msgspec.Struct, frozen=True):
    """**ext** shared-certificate: keep this chain and key for the other proxies of the cluster."""

    pem: str

    def __repr__(self) -> str:
        return "PutCertificate(pem=…)"


class CertManagerCommand(OneOf, frozen=True):
    """The certificate requests that carry something."""

    set_txt_record: SetTxtRecord | UnsetType = field(default=UNSET, name="SetTxtRecord")
    put_certificate: PutCertificate | UnsetType = field(default=UNSET, name="PutCertificate")


CertManagerRequest = Literal["CertLeaseRequest", "ReleaseCertLease", "GetCertificate"] | CertManagerCommand


class CertLeaseResponse(msgspec.Struct, frozen=True):
    """Whether the proxy holds the cluster's certificate lease now."""

    accepted: bool


class SetTxtRecordResponse(msgspec.Struct, frozen=True):
    """Whether the value was published."""

    accepted: bool


class Certificate(msgspec.Struct, frozen=True):
    """**ext** shared-certificate: the cluster's certificate, or null."""

    pem: str | None

    def __repr__(self) -> str:
        return f"Certificate(pem={None if self.pem is None else '…'})"


class CertManagerResponse(OneOf, frozen=True):
    """One answer about certificates."""

    cert_lease_response: CertLeaseResponse | UnsetType = field(default=UNSET, name="CertLeaseResponse")
    set_txt_record_response: SetTxtRecordResponse | UnsetType = field(default=UNSET, name="SetTxtRecordResponse")
    certificate: Certificate | UnsetType = field(default=UNSET, name="Certificate")


class BackendInUse(msgspec.Struct, frozen=True):
    """**ext** in-use: how many connections to one backend are open, and for how long there has been one."""

    backend: BackendName
    connections: Count
    for_ms: Count


class InUse(msgspec.Struct, frozen=True):
    """**ext** in-use: all backends in use, once per heartbeat interval, in place of KeepAlive."""

    backends: list[BackendInUse]


class NodeStatus(msgspec.Struct, frozen=True):
    """**ext** node-status: how a proxy is doing."""

    certificate_not_after_in_ms: int | None
    last_error: Text | None


class FromProxy(OneOf, frozen=True):
    """One message from a proxy."""

    route_info_request: RouteInfoRequest | UnsetType = field(default=UNSET, name="RouteInfoRequest")
    keep_alive: BackendName | UnsetType = field(default=UNSET, name="KeepAlive")
    cert_manager_request: CertManagerRequest | UnsetType = field(default=UNSET, name="CertManagerRequest")
    in_use: InUse | UnsetType = field(default=UNSET, name="InUse")
    node_status: NodeStatus | UnsetType = field(default=UNSET, name="NodeStatus")
    batch: list[FromProxy] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch


class ToProxy(OneOf, frozen=True):
    """One message to a proxy."""

    route_info_response: RouteInfoResponse | UnsetType = field(default=UNSET, name="RouteInfoResponse")
    cert_manager_response: CertManagerResponse | UnsetType = field(default=UNSET, name="CertManagerResponse")
    backend_removed: BackendRemoved | UnsetType = field(default=UNSET, name="BackendRemoved")
    route_pending: RoutePending | UnsetType = field(default=UNSET, name="RoutePending")
    tokens_revoked: TokensRevoked | UnsetType = field(default=UNSET, name="TokensRevoked")
    batch: list[ToProxy] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch
