from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models.signals import post_save
from django.urls import reverse

from events import Backoff, offload
from events.delivery.occurrence import DeliveredEvent
from workers import mail


def is_new_with_address(
    sender: type[AbstractUser], *, instance: AbstractUser, created: bool, **kwargs: Any
) -> bool:
    return created and bool(instance.email)


@offload(
    post_save,
    sender=settings.AUTH_USER_MODEL,
    queue="emails",
    when=is_new_with_address,
    atomic=False,
    retry=Backoff(first=2),
    give_up_on=(mail.Undeliverable,),
    time_limit=60,
)
def send_welcome_email(
    sender: type[AbstractUser], instance: AbstractUser, event: DeliveredEvent, **kwargs: Any
) -> None:
    """Sends a new user the welcome mail."""
    mail.send(
        "welcome",
        to=[instance.email],
        subject="Welcome to the library",
        key=event.idempotency_key,
        context={
            "name": instance.get_full_name() or instance.get_username(),
            "site": settings.SITE_URL.rstrip("/"),
            "catalogue": reverse("library:catalogue"),
        },
    )
