"""One event on the wire: CloudEvents 1.0, structured JSON (https://cloudevents.io, version 1.0.2)."""

from __future__ import annotations

from typing import Any

import msgspec

# The key of its data under which it says so.
BY = "request"
# The same, where that is all there still is: see events.operations.forgetting.
FORGOTTEN = "forgotten"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    source: str
    type: str
    subject: str | msgspec.UnsetType = msgspec.UNSET
    time: str
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    schemaversion: int = 1
    correlationid: str
    causationid: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    # signal: its name; sender, args: as events.serializers dumps them; instance: a model snapshot; request: who and by
    # which route, where it was emitted in one.
    data: dict[str, Any]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def encode(envelope: Envelope) -> str:
    return _encoder.encode(envelope).decode()


def decode(text: str) -> Envelope:
    """Raises `msgspec.ValidationError` or `msgspec.DecodeError` (both ValueError) for anything else."""
    return _decoder.decode(text)


def is_forgotten(envelope: str) -> bool:
    # Looked for as text first: nearly none is, and decoding them all takes long.
    return f'"{FORGOTTEN}":true' in envelope and decode(envelope).data.get(FORGOTTEN) is True
