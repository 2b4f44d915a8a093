"""The only part of the bus that talks to the broker."""

from events.transport.connecting import gives_back_at_once, reset
from events.transport.courier import Courier
from events.transport.looking import Look, depth, look
from events.transport.probing import probe
from events.transport.publishing import publish

__all__ = [
    "Courier",
    "Look",
    "depth",
    "gives_back_at_once",
    "look",
    "probe",
    "publish",
    "reset",
]
