from __future__ import annotations


class EventsError(Exception):
    """Anything the bus refuses. Its message names the thing, the rule and the remedy."""


class NotSerializable(EventsError, TypeError):
    """A value can't travel in an envelope; see `events.register_serializer`."""


class StaleInstance(EventsError):
    """A rebuilt instance was saved: it would overwrite a newer row or bring back a deleted one."""


class InvalidOffload(EventsError, TypeError):
    """`offload` was given a function, signal or option that can't run on a worker."""


class InvalidEvent(EventsError, TypeError):
    """An event was declared or sent with fields that don't fit its declaration."""


class MissingUpcaster(EventsError, LookupError):
    """An event is older than its declaration, and no upcaster leads from its version to the next."""


class UnknownReceiver(EventsError, LookupError):
    """This process has imported no receiver of that name."""


class Refused(EventsError):
    """A message that must not run: forged, altered, or of an event that is no longer here."""


class BrokenTransaction(EventsError):
    """The receiver left its transaction unusable: an error swallowed, or the connection closed."""


class Skip(Exception):
    """Raised by a receiver: nothing to do for this event; the delivery ends as skipped, with the reason given.

    What the receiver wrote to the database before raising stays, as if it had returned there.
    """
