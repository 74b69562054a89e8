"""
What DNS responders and controllers say to each other.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from protocol.spawn import Text
from protocol.tagging import OneOf


class TxtRecordRequest(msgspec.Struct, frozen=True):
    """Which challenge values does this cluster have?"""

    cluster: Text


class TxtRecordResponse(msgspec.Struct, frozen=True):
    """The newest value; **ext** txt-values: all live ones, and whether the controller has heard of the cluster."""

    cluster: str
    txt_value: str | None
    txt_values: list[str] | UnsetType = UNSET
    known: bool | UnsetType = UNSET


class FromDns(OneOf, frozen=True):
    """One message from a DNS responder."""

    txt_record_request: TxtRecordRequest | UnsetType = field(default=UNSET, name="TxtRecordRequest")
    batch: list[FromDns] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch


class ToDns(OneOf, frozen=True):
    """One message to a DNS responder."""

    txt_record_response: TxtRecordResponse | UnsetType = field(default=UNSET, name="TxtRecordResponse")
    batch: list[ToDns] | UnsetType = field(default=UNSET, name="Batch")  #: **ext** batch
