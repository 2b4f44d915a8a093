from __future__ import annotations

import logging
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.signals import post_save

from events import Skip, offload
from events.delivery.occurrence import DeliveredEvent
from events.notices import receiver_parked
from library.signals import request_failed, slow_request
from workers import mail
from workers.audit import write_entry
from workers.models import Alert

logger = logging.getLogger(__name__)


@offload(request_failed, queue="alerts")
def count_failure(
    sender: Any,
    exception: str,
    message: str,
    traceback: str,
    route: str,
    method: str,
    fingerprint: str,
    event: DeliveredEvent,
    **kwargs: Any,
) -> None:
    """Counts a failed request under its fingerprint and hour; the first of them becomes an alert."""
    alert, is_first = Alert.objects.get_or_create(
        fingerprint=fingerprint[:64],
        hour=_hour(event),
        defaults={
            "exception": exception[:200],
            "message": message,
            "traceback": traceback,
            "route": route[:200],
            "method": method[:10],
        },
    )
    if not is_first:
        Alert.objects.filter(pk=alert.pk).update(count=F("count") + 1)


@offload(receiver_parked, queue="alerts")
def alert_parked_receiver(
    sender: Any, receiver: str, reason: str, event: DeliveredEvent, **kwargs: Any
) -> None:
    """Makes an alert of a receiver that the kill switch parked, one for each receiver and hour."""
    Alert.objects.get_or_create(
        fingerprint=sha256(f"parked {receiver}".encode()).hexdigest(),
        hour=_hour(event),
        defaults={"exception": f"{receiver} is parked"[:200], "message": reason},
    )


def _hour(event: DeliveredEvent) -> datetime:
    """The one in which it happened, not the one in which a worker came to it: a backlog makes no second alert."""
    return event.time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def is_first(sender: type[Alert], *, created: bool, **kwargs: Any) -> bool:
    return created


# A delivery of its own: counting is exact because it does nothing but write to the database.
@offload(
    post_save,
    sender=Alert,
    queue="alerts",
    atomic=False,
    when=is_first,
    give_up_on=(mail.Undeliverable,),
    time_limit=60,
)
def mail_alert(sender: type[Alert], instance: Alert, event: DeliveredEvent, **kwargs: Any) -> None:
    """Mails ADMINS about a failure, once for each distinct one and hour."""
    addresses = admin_addresses()
    if not addresses:
        raise Skip("ADMINS is empty")
    mail.send(
        "alert",
        to=addresses,
        subject=f"{settings.EMAIL_SUBJECT_PREFIX}{instance}",
        key=event.idempotency_key,
        context={"alert": instance},
        sender=settings.SERVER_EMAIL,
    )


@offload(slow_request, queue="alerts")
def record_slow_request(
    sender: Any,
    method: str,
    route: str,
    milliseconds: float,
    status: int,
    event: DeliveredEvent,
    **kwargs: Any,
) -> None:
    """Logs a slow request as a warning and writes an audit entry for it."""
    logger.warning(
        "slow request method=%s route=%s milliseconds=%.0f status=%s", method, route, milliseconds, status
    )
    write_entry(
        event,
        "request.slow",
        subject=f"{method} /{route}"[:200],
        changes={"milliseconds": round(milliseconds), "status": status},
    )


def admin_addresses() -> list[str]:
    """From Django 6 on ADMINS holds addresses; before, pairs of name and address."""
    return [entry if isinstance(entry, str) else entry[1] for entry in settings.ADMINS]
