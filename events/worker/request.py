from __future__ import annotations

import queue
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from events.message import HEADER

# Messages whose process ended under them; the heartbeat takes their deliveries back.
crashed: queue.SimpleQueue[tuple[dict[str, Any], str]] = queue.SimpleQueue()


class ReceiverRequest(Request):  # type: ignore[misc]  # celery ships no types
    """Tells, in the worker's parent, of a message whose process died or ran out of time.

    The relay can't know before the whole worker is gone, and Celery itself acknowledges such a message.
    """

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, (WorkerLostError, Terminated, TimeLimitExceeded)):
            self._report(f"Its process ended while it ran this: {error}")
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if not soft:
            self._report(f"It was ended after {timeout} seconds, the time limit of its message.")
        super().on_timeout(soft, timeout)

    def _report(self, reason: str) -> None:
        header = self.request_dict.get(HEADER)
        if isinstance(header, dict):
            crashed.put((header, reason))
