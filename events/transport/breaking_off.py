"""A worker whose broker was frozen: it breaks no connection, and Celery doesn't notice."""

from __future__ import annotations

from kombu.asynchronous import get_event_loop


def break_off(error: OSError) -> None:
    """Have the consumer of this process connect anew, as if its connection had failed with `error`.

    Where a message can't be acknowledged, Celery logs it, and goes on. But that message keeps its place among those
    that a worker may have in hand. With all places kept so it takes no message any more, and asks the broker for
    nothing, so it never finds that anything is wrong.
    """
    hub = get_event_loop()
    # Without one (eventlet, gevent) the consumer waits for the broker itself, and finds out.
    if hub is not None:
        hub.call_soon(_raise, error)


def _raise(error: OSError) -> None:
    raise error
