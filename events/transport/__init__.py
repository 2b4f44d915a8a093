"""The only part of the bus that talks to the broker."""

from events.transport.connecting import probe, reset
from events.transport.looking import Look, depth, look
from events.transport.publishing import publish

__all__ = ["Look", "depth", "look", "probe", "publish", "reset"]
