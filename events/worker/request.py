from __future__ import annotations

import os
import queue
import signal
from contextlib import suppress
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.exceptions import InvalidTaskError
from celery.worker import state
from celery.worker.request import Request

from events.delivery.receiving import received
from events.delivery.refusing import logger
from events.exceptions import Refused
from events.message import HEADER, MOST_EVENTS
from events.timing import limits
from events.worker import ahead

# Messages whose process ended under them; the heartbeat takes their deliveries back.
crashed: queue.SimpleQueue[tuple[dict[str, Any], str]] = queue.SimpleQueue()

# And what Celery would write as their results.
unstored: queue.SimpleQueue[tuple[ReceiverRequest, BaseException]] = queue.SimpleQueue()


class ReceiverRequest(Request):  # type: ignore[misc]  # celery ships no types
    """Tells, in the worker's parent, of a message whose process died or ran out of time.

    The relay can't know before the whole worker is gone, and Celery itself acknowledges such a message.
    """

    # Whether its result is left to the heartbeat's thread.
    _left = False

    def __init__(self, message: Any, **options: Any) -> None:
        try:
            super().__init__(message, **options)
            args, kwargs, embed = self._body if self._decoded else message.payload
            ordinary = isinstance(args, (list, tuple)) and not kwargs and not any((embed or {}).values())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidTaskError(f"not a message of the bus: {error!r}") from error
        if not ordinary:
            # What Celery would do besides running it, nobody has signed.
            raise InvalidTaskError("not a message of the bus: it carries more than envelopes")
        # Nor what its headers say of times: ours are never put off, and how long they may run is for us to say.
        self._eta = self._expires = None
        soft, hard = limits(self._type, _events(self._request_dict.get(HEADER)))
        self.time_limits = (hard, soft)

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, (TimeLimitExceeded, MemoryError)):
            self._end_process()
        if isinstance(error, MemoryError):
            # Celery would end the whole worker for one of its processes that has no memory left.
            error = WorkerLostError(f"It had no memory left: {error!r}")
            exc_info.exception = error
        if isinstance(error, (WorkerLostError, Terminated, TimeLimitExceeded)):
            self._leave_result(error)
            self._report(f"Its process ended while it ran this: {error}")
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def acknowledge(self) -> None:
        ahead.note_end(self)
        acknowledge = super().acknowledge
        if not ahead.put_off(acknowledge):
            acknowledge()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if not soft:
            self._report(f"It was ended after {timeout} seconds, the time limit of its message.")
        super().on_timeout(soft, timeout)

    def revoked(self) -> bool:
        # Nor is there anything else by which Celery would discard it: see __init__.
        if self.id in state.revoked:
            self._refuse("revoke")
        # Given back: see events.worker.ahead.
        return bool(self._already_revoked)

    def terminate(self, pool: Any, signal: int | None = None) -> None:
        """What `revoke(terminate=True)` calls, and nothing else."""
        self._refuse("terminate")

    def _refuse(self, command: str) -> None:
        """A message is not a delivery: it may carry many, and the relay sends each again that has no end."""
        logger.warning(
            "events.refused command=%s receiver=%s message=%s remedy='manage.py events pause RECEIVER'",
            command,
            self.type,
            self.id,
        )

    def _end_process(self) -> None:
        """Before Celery does, and at once.

        It asks with SIGTERM first: to the receiver that looks like a deploy, which uses up no try.
        """
        if self.worker_pid not in {None, os.getpid()}:
            with suppress(ProcessLookupError):
                os.kill(self.worker_pid, signal.SIGKILL)

    def _leave_result(self, error: BaseException) -> None:
        """To the heartbeat's thread: here all other messages would wait, and so would the next time limit."""
        if self.store_errors:
            self._left = True
            unstored.put((self, error))

    @property
    def store_errors(self) -> bool:
        return not self._left and super().store_errors

    def store_result(self, error: BaseException) -> None:
        self.task.backend.mark_as_failure(self.id, error, request=self._context)

    def _report(self, reason: str) -> None:
        if state.should_terminate:
            # It is the worker that ends: the relay finds what it had in hand, and no try is counted for that.
            return
        header = self.request_dict.get(HEADER)
        try:
            received(header, self.args, task=self.type, id=self.id)
        except Refused as error:
            # By a forged one anybody could take back what another worker runs.
            logger.error("events.refused receiver=%s message=%s reason=%r", self.type, self.id, str(error))
        else:
            crashed.put((header, reason))


def _events(header: Any) -> int:
    ids = header.get("ids") if isinstance(header, dict) else None
    return max(1, min(len(ids), MOST_EVENTS)) if isinstance(ids, list) else 1
