"""Envelopes that are too large for what an event is, told where a person looks."""

from __future__ import annotations

import logging

from events.outbox.emission import Emission

logger = logging.getLogger("events")

# Characters of one envelope from which on it is reported.
LARGE = 1_000_000


def tell_large(emission: Emission) -> None:
    """Of an envelope that is made, if it is one of these: once for each type and process."""
    if emission.size > LARGE and (type := emission.content().type) not in _told:
        _told.add(type)
        logger.warning(
            "events.large type=%s characters=%d remedy='send what it takes to find the data, not the data'",
            type,
            emission.size,
        )


_told: set[str] = set()
