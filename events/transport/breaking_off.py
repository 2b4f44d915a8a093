"""A worker whose broker was frozen: it breaks no connection, and Celery doesn't notice."""

from __future__ import annotations

import time
from typing import Any
from weakref import ref

from kombu.asynchronous import get_event_loop

# Seconds after which a message ought to be acknowledged: Celery does it in the next turn of its loop.
_SOON = 5.0
# Seconds until the second look. A loop that was held up looks late, and has its acknowledgements before it still.
_AGAIN = 1.0

# When the last connection was broken off: what it left unacknowledged is no sign of the next one's state.
_broken_off = 0.0


def see_acknowledged(message: Any) -> None:
    """Have the consumer of this process connect anew, if kombu's message isn't acknowledged soon.

    Where a message can't be acknowledged, Celery logs it, and goes on. But that message keeps its place among those
    that a worker may have in hand. With all places kept so it takes no message any more, and asks the broker for
    nothing, so it never finds that anything is wrong.
    """
    hub = get_event_loop()
    # Without one (eventlet, gevent) the consumer waits for the broker itself, and finds out.
    if hub is not None:
        # Weak: one that is acknowledged is kept by nobody, and may be large.
        hub.call_later(_SOON, _look, hub, ref(message), time.monotonic(), _AGAIN)


def _look(hub: Any, message: ref[Any], asked: float, again: float) -> None:
    global _broken_off  # noqa: PLW0603 - a process has one consumer
    kept = message()
    if kept is None or kept.acknowledged or asked < _broken_off:
        return
    if again:
        hub.call_later(again, _look, hub, message, asked, 0)
        return
    _broken_off = time.monotonic()
    hub.call_soon(_break_off)


def _break_off() -> None:
    raise ConnectionResetError("a message could not be acknowledged")
