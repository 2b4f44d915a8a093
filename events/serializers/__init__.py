"""What travels in an envelope's `data`: arguments, references to rows, and snapshots of them."""

from __future__ import annotations

from events.serializers.json_type import Json
from events.serializers.plan import Snapshot, SnapshotPlan, plan_for
from events.serializers.references import Reference, fetch_references, references_in, substitute
from events.serializers.registry import InvalidSerializer, register_serializer, serializers
from events.serializers.requests import RequestInfo
from events.serializers.sensitive import is_sensitive, is_sensitive_field
from events.serializers.values import REFERENCE, dump_value, load_value

__all__ = [
    "REFERENCE",
    "InvalidSerializer",
    "Json",
    "Reference",
    "RequestInfo",
    "Snapshot",
    "SnapshotPlan",
    "dump_value",
    "fetch_references",
    "is_sensitive",
    "is_sensitive_field",
    "load_value",
    "plan_for",
    "references_in",
    "register_serializer",
    "serializers",
    "substitute",
]
